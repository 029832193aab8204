"""What the gateway counts, and where it tells it."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from caas_tasks.metrics_settings import MetricsSettings
from gateway.access_log import AccessLog
from gateway.metrics import GatewayMetrics


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def test_requests_are_told_by_route_and_status(port: int) -> None:
    """On a port of its own."""
    metrics = GatewayMetrics(MetricsSettings(metrics_port=port))
    metrics.start()
    try:
        metrics.observe("/encrypt", 200, 0.002)
        metrics.observe("-", 404, 0.001)
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
    finally:
        metrics.stop()
    assert 'caas_gateway_requests_total{route="/encrypt",status="200"} 1.0' in text
    assert 'caas_gateway_request_duration_seconds_count{route="-"} 1.0' in text


@pytest.mark.anyio
async def test_a_path_that_came_in_is_no_label() -> None:
    """What no route takes is counted under one name."""
    seen: list[tuple[str, int]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})

    async def send(_message: Any) -> None:
        pass

    wrapped = AccessLog(app, lambda route, status, _took_s: seen.append((route, status)))
    scope = {"type": "http", "method": "GET", "path": "/secret"}
    await wrapped(scope, None, send)  # type: ignore[arg-type] # nothing is received
    assert seen == [("-", 404)]
