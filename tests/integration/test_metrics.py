"""A worker's metrics as Prometheus gets them, from one process and from a pool's processes."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from rig.canary import Markers, search
from rig.stack import Stack, free_port

from caas_tasks.names import Lane
from caas_tasks.redis_connection import connect
from caas_tasks.redis_url import parse_broker_url
from producer_client import ServiceError

pytestmark = pytest.mark.integration


class Scraped:
    """One scrape."""

    def __init__(self, port: int) -> None:
        self.raw = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30)
        self.samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(self.raw.text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples with this name and these labels among theirs."""
        return sum(
            value
            for (found, pairs), value in self.samples.items()
            if found == name and labels.items() <= dict(pairs).items()
        )


def ask(stack: Stack, markers: Markers, calls: int = 10) -> None:
    client = stack.client(timeout_s=30)
    for _ in range(calls):
        client.encrypt(markers.user_uuid, markers.data)
    client.encrypt_many([(markers.user_uuid, markers.data)] * 40)
    with pytest.raises(ServiceError):
        client.verify(markers.user_uuid, markers.data, "ab" * 48, 9)
    other = stack.client(timeout_s=30, api_key="caas_" + secrets.token_hex(20))
    with pytest.raises(ServiceError):
        other.wrap(markers.user_uuid, markers.digest)


@pytest.mark.parametrize(("pool", "shared"), [("solo", False), ("prefork", False), ("solo", True)])
def test_what_was_asked_is_counted(
    new_stack: Callable[..., Stack], tmp_path: Any, pool: str, shared: bool
) -> None:
    """Requests, items, errors, stages and state are told, and of what was asked nothing."""
    stack = new_stack()
    port = free_port()
    env = {"CAAS_METRICS_PORT": str(port)}
    if shared:
        env["CAAS_METRICS_DIR"] = str(tmp_path / "values")
    for _ in range(2 if shared else 1):
        stack.start_worker("--concurrency=2", "--loglevel=INFO", pool=pool, env=env)
    stack.wait_until_ready()
    for worker in stack.workers:
        worker.wait_for("ready.")
    markers = Markers()
    ask(stack, markers)
    seen = Scraped(port)
    ok = {"operation": "encrypt", "code": "ok"}
    assert seen.value("caas_items_total", **ok) == 50
    assert seen.value("caas_requests_total", **ok) >= 11
    assert seen.value("caas_items_total", operation="verify", code="unavailable") == 1
    assert seen.value("caas_requests_total", operation="wrap", code="unauthorized") == 1
    assert seen.value("caas_tenant_items_total", tenant="shop") == 51
    for stage in ("wait", "open", "work", "seal"):
        assert seen.value("caas_stage_duration_seconds_count", stage=stage) >= 13
    assert seen.value("caas_request_duration_seconds_count", operation="encrypt") >= 11
    if pool == "solo":  # a pool's process tells its state with its next request
        assert seen.value("caas_sessions") >= 1
    assert seen.value("caas_primary_key_version") == 1
    assert seen.value("caas_worker_info", pool=pool) == 1
    assert seen.value("caas_pool_slots") >= 1
    assert seen.value("caas_broker_up") == 1
    assert seen.value("caas_lane_length", lane="fast") == 0
    raw = {"metrics": repr(seen.raw.headers).encode() + seen.raw.content}
    assert search(raw, markers.needles(stack.keystore.api_key)) == set()


def test_a_lane_that_waits_shows_its_length_and_age(new_stack: Callable[..., Stack]) -> None:
    """Messages that no worker takes are counted, and the oldest one's age is known from its id."""
    stack = new_stack()
    port = free_port()
    stack.start_worker(
        "--loglevel=INFO", queue=Lane.BULK.value, env={"CAAS_METRICS_PORT": str(port)}
    )
    stack.workers[0].wait_for("ready.")
    client = stack.client(timeout_s=0.5)
    with pytest.raises(ServiceError):
        client.encrypt("4dbcbcfe-4800-40a8-badf-c26b73af230c", "x")
    seen = Scraped(port)
    assert seen.value("caas_lane_length", lane="fast") >= 1
    assert 0.4 < seen.value("caas_lane_oldest_age_seconds", lane="fast") < 600
    assert seen.value("caas_lane_oldest_age_seconds", lane="password") == 0
    assert seen.value("caas_worker_lane", lane="bulk") == 1


def test_a_hostile_message_shows_no_age(new_stack: Callable[..., Stack]) -> None:
    """What is no message has no age, and the rest is told all the same."""
    stack = new_stack()
    port = free_port()
    stack.start_worker(
        "--loglevel=INFO", queue=Lane.BULK.value, env={"CAAS_METRICS_PORT": str(port)}
    )
    stack.workers[0].wait_for("ready.")
    with connect(parse_broker_url(stack.broker.url)) as server:
        server.lpush(Lane.FAST.value, b"\xff{", b"[" * 9_000)
    seen = Scraped(port)
    assert seen.value("caas_lane_length", lane="fast") == 2
    assert "caas_lane_oldest_age_seconds" in seen.raw.text
    assert seen.value("caas_lane_oldest_age_seconds", lane="fast") == 0


def test_a_port_that_is_taken_stops_the_worker(new_stack: Callable[..., Stack]) -> None:
    """Two workers of one host need two ports or a common folder; the second says so and ends."""
    stack = new_stack()
    env = {"CAAS_METRICS_PORT": str(free_port())}
    stack.start_worker("--loglevel=INFO", env=env).wait_for("ready.")
    second = stack.start_worker("--loglevel=INFO", env=env)
    assert second.wait() == 78
    assert "CAAS_METRICS_DIR" in second.log


def test_only_metrics_are_served(new_stack: Callable[..., Stack]) -> None:
    """Nothing else is at that port, and nothing is logged of what was asked."""
    stack = new_stack()
    port = free_port()
    worker = stack.start_worker("--loglevel=INFO", env={"CAAS_METRICS_PORT": str(port)})
    worker.wait_for("ready.")
    answers = [
        httpx.request(method, f"http://127.0.0.1:{port}{path}").status_code
        for method, path in (("GET", "/"), ("GET", "/secret-path"), ("POST", "/metrics"))
    ]
    assert answers == [404, 404, 501]
    assert "secret-path" not in worker.log
