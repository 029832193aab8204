"""The worker's side of the bulk lane: claims and sweeps."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest
import redis
from celery.exceptions import Ignore

from caas_tasks.job_ledger import RESEND_AFTER_S, JobLedger, LedgerEntry
from caas_tasks.names import Lane
from worker import bulk

ENTRY = LedgerEntry("a-0", "caas.encrypt", "c2VhbGVk")


class FakeApp:
    """As much of a Celery app as a sweep needs; publishing notes the message."""

    def __init__(self, ledger: JobLedger) -> None:
        self.backend = SimpleNamespace(ledger=ledger)
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.heard = threading.Event()

    def connection_for_write(self) -> FakeApp:
        return self

    channel = connection_for_write

    def __enter__(self) -> FakeApp:
        return self

    def __exit__(self, *_exc: object) -> None:
        return

    def prepare_message(self, body: str, **kwargs: Any) -> dict[str, Any]:
        return {"body": body, **kwargs}

    def basic_publish(self, message: dict[str, Any], exchange: str, routing_key: str) -> None:
        self.published.append((routing_key, message))
        self.heard.set()


def task(lane: Lane, ledger: Any) -> Any:
    return SimpleNamespace(
        request=SimpleNamespace(delivery_info={"routing_key": lane.value}, id=ENTRY.job_id),
        backend=SimpleNamespace(ledger=ledger),
    )


@pytest.fixture
def server() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


def overdue_ledger(server: fakeredis.FakeRedis) -> JobLedger:
    """A ledger with one job whose time has come."""
    JobLedger(server, lambda: 0.0).enter([ENTRY])
    return JobLedger(server, lambda: RESEND_AFTER_S)


def test_a_job_in_the_ledger_is_begun(server: fakeredis.FakeRedis) -> None:
    """A claim of an open job lets the task run."""
    bulk.claim(task(Lane.BULK, overdue_ledger(server)))


def test_a_job_that_is_done_is_ignored(server: fakeredis.FakeRedis) -> None:
    """A second message of a finished job does no work and stores nothing."""
    ledger = overdue_ledger(server)
    ledger.finish(ENTRY.job_id, "result")
    with pytest.raises(Ignore):
        bulk.claim(task(Lane.BULK, ledger))


def test_a_message_of_the_fast_lane_needs_no_claim() -> None:
    """The ledger is not asked for callers that wait."""
    bulk.claim(task(Lane.FAST, None))


def test_a_job_is_left_when_the_ledger_cannot_be_asked() -> None:
    """Without the ledger a worker does nothing: the job is sent again later."""

    class Unreachable:
        def claim(self, _job_id: str) -> bool:
            raise redis.ConnectionError

    with pytest.raises(Ignore):
        bulk.claim(task(Lane.BULK, Unreachable()))


def test_a_sweep_sends_what_is_overdue(server: fakeredis.FakeRedis) -> None:
    """An overdue job goes to the bulk lane again, under its id, without an inbox."""
    app = FakeApp(overdue_ledger(server))
    assert bulk.sweep(app, app.backend.ledger) == 1
    [(routing_key, message)] = app.published
    assert routing_key == "caas.bulk"
    assert message["headers"]["id"] == "a-0"
    assert message["headers"]["task"] == "caas.encrypt"
    assert message["properties"]["reply_to"] == ""
    assert message["body"].startswith('[["c2VhbGVk"], {}')


def test_a_sweep_of_nothing_opens_no_connection(server: fakeredis.FakeRedis) -> None:
    """Most sweeps find nothing and cost one look."""
    app = FakeApp(JobLedger(server, lambda: 0.0))
    assert bulk.sweep(app, app.backend.ledger) == 0
    assert app.published == []


def test_the_sweeper_outlives_a_failure(
    server: fakeredis.FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep that fails is reported by its type, and the next one works."""
    monkeypatch.setattr(bulk, "SWEEP_INTERVAL_S", 0.001)
    ledger = overdue_ledger(server)
    app = FakeApp(ledger)
    failures = iter([redis.ConnectionError("canary")])

    def overdue() -> list[LedgerEntry]:
        for failure in failures:
            raise failure
        return JobLedger.overdue(ledger)

    monkeypatch.setattr(ledger, "overdue", overdue)
    sweeper = bulk.Sweeper(app)
    sweeper.start()
    assert app.heard.wait(10)
    sweeper.stop()


@pytest.mark.parametrize(("lane", "starts"), [(Lane.BULK, True), (Lane.FAST, False)])
def test_only_workers_of_the_lane_sweep(
    lane: Lane, starts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that does not consume the bulk lane leaves its jobs to those that do."""
    started: list[str] = []
    handlers: dict[str, Any] = {}
    monkeypatch.setattr(bulk.Sweeper, "start", lambda _: started.append("start"))
    monkeypatch.setattr(bulk.Sweeper, "stop", lambda _: started.append("stop"))
    for name in ("worker_ready", "worker_shutting_down"):
        signal = SimpleNamespace(
            connect=lambda handler, weak, name=name: handlers.update({name: handler})
        )
        monkeypatch.setattr(bulk, name, signal)
    bulk.connect(SimpleNamespace())
    consumer = SimpleNamespace(
        task_consumer=SimpleNamespace(queues=[SimpleNamespace(name=lane.value)])
    )
    handlers["worker_ready"](sender=consumer)
    handlers["worker_shutting_down"]()
    assert started == (["start", "stop"] if starts else ["stop"])
