"""What a worker counts of each request."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from caas_tasks.message_id import new_message_id
from caas_tasks.names import Lane, Operation
from worker.metrics import SECONDS, STATE_INTERVAL_S, WorkerMetrics
from worker.outcome import Outcome, Stages
from worker.pool_metrics import PoolCollector
from worker.watch import Watch

NOW_MS = 1_700_000_000_000


def outcome(**changes: Any) -> Outcome:
    noted: dict[str, Any] = {
        "message_id": new_message_id(NOW_MS, os.urandom),
        "operation": Operation.VERIFY,
        "at_ms": NOW_MS + 30,
        "tenant": "shop",
        "api_key_id": "id",
        "key_version": 1,
        "items": 3,
        "refusal": None,
        "codes": {"ok": 2, "rate_limited": 1},
        "users": (),
        "duration_s": 0.006,
        "stages": Stages(0.001, 0.002, 0.003),
        **changes,
    }
    return Outcome(**noted)


def refused(code: str) -> Outcome:
    return outcome(items=0, refusal=code, codes={code: 1}, tenant=None)


class Scene:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.now_s = 100.0
        self.metrics = WorkerMetrics(self.registry, lambda: self.now_s)

    def value(self, name: str, **labels: str) -> float | None:
        self.metrics.hand_over()
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_requests_and_items_are_counted_by_code(scene: Scene) -> None:
    """A request that was answered is ok as a whole; its items have codes of their own."""
    scene.metrics.observe(outcome())
    scene.metrics.observe(outcome())
    assert scene.value("caas_requests_total", operation="verify", code="ok") == 2
    assert scene.value("caas_items_total", operation="verify", code="ok") == 4
    assert scene.value("caas_items_total", operation="verify", code="rate_limited") == 2
    assert scene.value("caas_tenant_items_total", tenant="shop") == 6


def test_a_refused_request_has_no_items(scene: Scene) -> None:
    """It counts as a request of its code, and under no tenant."""
    scene.metrics.observe(refused("unauthorized"))
    assert scene.value("caas_requests_total", operation="verify", code="unauthorized") == 1
    assert scene.value("caas_items_total", operation="verify", code="unauthorized") is None


def test_counts_are_handed_over_once(scene: Scene) -> None:
    """Asking twice adds nothing."""
    scene.metrics.observe(outcome())
    assert scene.value("caas_requests_total", operation="verify", code="ok") == 1
    assert scene.value("caas_requests_total", operation="verify", code="ok") == 1


@pytest.mark.parametrize(
    ("stage", "sum_s"), [("wait", 0.03), ("open", 0.001), ("work", 0.002), ("seal", 0.003)]
)
def test_stages_are_timed(scene: Scene, stage: str, sum_s: float) -> None:
    """The wait comes from the message's id, the others from the outcome."""
    scene.metrics.observe(outcome())
    assert scene.value("caas_stage_duration_seconds_sum", stage=stage) == pytest.approx(sum_s)
    assert scene.value("caas_stage_duration_seconds_count", stage=stage) == 1


@pytest.mark.parametrize("took_s", [0.0, SECONDS[0], 0.00011, SECONDS[-1], 1e9])
def test_buckets_are_the_librarys(scene: Scene, took_s: float) -> None:
    """A time counts in every bucket whose bound it doesn't exceed, as Prometheus has it."""
    scene.metrics.observe(outcome(duration_s=took_s))
    scene.metrics.hand_over()
    text = generate_latest(scene.registry).decode()
    for line in text.splitlines():
        if line.startswith("caas_request_duration_seconds_bucket"):
            bound = float(line.partition('le="')[2].partition('"')[0])
            assert float(line.rpartition(" ")[2]) == (1.0 if took_s <= bound else 0.0)


def test_what_could_not_be_opened_has_no_stages(scene: Scene) -> None:
    """Its id is whoever's; only that it came is counted."""
    scene.metrics.observe(refused("unreadable"))
    assert scene.value("caas_requests_total", operation="verify", code="unreadable") == 1
    assert scene.value("caas_stage_duration_seconds_count", stage="wait") == 0


def test_an_id_without_a_time_has_no_wait(scene: Scene) -> None:
    """As other clients make them."""
    scene.metrics.observe(outcome(message_id="4dbcbcfe-4800-40a8-badf-c26b73af230c"))
    assert scene.value("caas_stage_duration_seconds_count", stage="wait") == 0
    assert scene.value("caas_stage_duration_seconds_count", stage="open") == 1


def test_callers_cannot_make_series(scene: Scene) -> None:
    """A thousand requests with ids of their own leave no more series than one."""
    scene.metrics.observe(outcome())
    scene.metrics.hand_over()
    before = len(generate_latest(scene.registry).splitlines())
    for number in range(1_000):
        scene.metrics.observe(outcome(message_id=f"hostile-{number}" * 9, users=(str(number),)))
    scene.metrics.hand_over()
    assert len(generate_latest(scene.registry).splitlines()) == before


def test_state_is_looked_at_once_a_second(scene: Scene) -> None:
    """And at once when it is asked for."""
    keyring = SimpleNamespace(session_count=1, primary=2, enabled_versions=2)
    asked: list[float] = []

    def current() -> Any:
        asked.append(scene.now_s)
        return keyring

    scene.metrics.watch(current)
    scene.metrics.hand_over(state_is_due=False)
    scene.now_s += STATE_INTERVAL_S
    scene.metrics.hand_over(state_is_due=False)
    assert asked == [100.0, 101.0]
    assert scene.value("caas_sessions") == 1
    assert scene.value("caas_primary_key_version") == 2


def test_a_pool_tells_its_lanes_and_slots() -> None:
    """As Celery runs it."""
    queues = [SimpleNamespace(name=Lane.FAST.value), SimpleNamespace(name="other")]
    consumer = SimpleNamespace(
        pool=SimpleNamespace(num_processes=4), task_consumer=SimpleNamespace(queues=queues)
    )
    registry = CollectorRegistry()
    registry.register(PoolCollector(consumer))
    assert registry.get_sample_value("caas_pool_slots") == 4
    assert registry.get_sample_value("caas_worker_lane", {"lane": "fast"}) == 1
    assert registry.get_sample_value("caas_worker_lane", {"lane": "bulk"}) is None


def test_nothing_watches_unless_it_is_asked_for() -> None:
    """Without a port there are no metrics, no server and no observers."""
    watch = Watch()
    settings: Any = SimpleNamespace(metrics_port=0, tracing=False)
    watch.prepare(settings, "solo")
    watch.serve(None)
    watch.stop()
    assert watch.observers(lambda: None) == []  # type: ignore[arg-type,return-value] # never asked
