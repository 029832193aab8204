"""The log line and the headers of every response."""

from __future__ import annotations

import logging
import re
from typing import Any

import httpx
import pytest

from gateway.access_log import AccessLog

pytestmark = pytest.mark.anyio

LINE = re.compile(r"(\S+) (\S+) (\d{3}) \d+\.\d ms ([0-9a-f]{16})\Z")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "gateway.access_log"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/encrypt", ("POST", "/encrypt", "400")),
        ("GET", "/batch/wrap", ("GET", "/batch/wrap", "405")),
        ("GET", "/healthz?marker-5d1f=1", ("GET", "/healthz", "200")),
        ("GET", "/marker-5d1f", ("GET", "-", "404")),
        ("MARKER-5D1F", "/encrypt", ("-", "/encrypt", "405")),
    ],
)
async def test_a_line_has_route_and_status_and_nothing_that_came_in(
    method: str,
    path: str,
    expected: tuple[str, str, str],
    http: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Method, route, status, time and id; a marker in path, query or method is not there."""
    with caplog.at_level(logging.DEBUG):
        response = await http.request(method, path, headers={"X-Request-Id": "marker-5d1f"})
    (line,) = lines(caplog)
    match = LINE.match(line)
    assert match is not None
    assert match.groups() == (*expected, response.headers["x-request-id"])


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/openapi.json", "/nothing", "/encrypt"])
async def test_every_response_has_the_security_headers(http: httpx.AsyncClient, path: str) -> None:
    """Nothing is cached and no type is guessed, errors included."""
    response = await http.get(path)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_each_request_has_its_own_id(http: httpx.AsyncClient) -> None:
    """Ids differ."""
    ids = {(await http.get("/healthz")).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


async def test_a_failure_after_the_start_of_an_answer_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A second answer can't be sent; the exception still goes no further."""
    sent: list[Any] = []

    async def failing(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        raise RuntimeError("marker-5d1f")

    async def send(message: Any) -> None:
        sent.append(message)

    with caplog.at_level(logging.DEBUG):
        await AccessLog(failing)({"type": "http", "method": "GET"}, send, send)
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert "RuntimeError" in caplog.text
    assert "marker-5d1f" not in caplog.text


async def test_a_caller_that_hung_up_is_logged_as_such(caplog: pytest.LogCaptureFixture) -> None:
    """Without an answer the line says 499."""

    async def silent(_scope: Any, _receive: Any, _send: Any) -> None:
        return

    with caplog.at_level(logging.INFO):
        await AccessLog(silent)({"type": "http", "method": "POST"}, silent, silent)
    assert "POST - 499" in caplog.text


async def test_what_is_no_request_passes_by() -> None:
    """Start and stop of the application are not requests."""
    seen: list[str] = []

    async def inner(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    await AccessLog(inner)({"type": "lifespan"}, inner, inner)
    assert seen == ["lifespan"]
