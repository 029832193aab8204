"""The ledger of the bulk lane: what is entered stays until its result is stored."""

from __future__ import annotations

from typing import Any

import fakeredis
import pytest
from redis.client import Pipeline

from caas_tasks.job_ledger import (
    JOB_TTL_S,
    LEASE_S,
    RESEND_AFTER_S,
    RESULT_TTL_S,
    JobLedger,
    LedgerEntry,
)
from caas_tasks.names import Lane

ENTRIES = [LedgerEntry("a-0", "caas.encrypt", "c2VhbGVk"), LedgerEntry("a-1", "caas.wrap", "eA==")]


class Clock:
    """Unix time that a test moves."""

    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def server() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(server: fakeredis.FakeRedis, clock: Clock) -> JobLedger:
    ledger = JobLedger(server, clock)
    ledger.enter(ENTRIES)
    return ledger


def test_an_entered_job_is_open(ledger: JobLedger, server: fakeredis.FakeRedis) -> None:
    """A job stands in the ledger with its task and its sealed text, for a day."""
    assert ledger.count_open(["a-0", "a-1", "b-0"]) == 2
    assert server.hgetall("caas:job:a-0") == {b"task": b"caas.encrypt", b"sealed": b"c2VhbGVk"}
    assert server.ttl("caas:job:a-0") == JOB_TTL_S


def test_a_job_is_not_overdue_at_once(ledger: JobLedger, clock: Clock) -> None:
    """A job that was just sent has time to be taken."""
    clock.now_s += RESEND_AFTER_S - 1
    assert ledger.overdue() == []


def test_an_overdue_job_is_named_once_a_period(ledger: JobLedger, clock: Clock) -> None:
    """What no worker has begun is sent again, and not again before its next time."""
    clock.now_s += RESEND_AFTER_S
    assert ledger.overdue() == ENTRIES
    assert ledger.overdue() == []
    clock.now_s += RESEND_AFTER_S
    assert ledger.overdue() == ENTRIES


def test_nothing_is_overdue_while_the_queue_holds_messages(
    ledger: JobLedger, server: fakeredis.FakeRedis, clock: Clock
) -> None:
    """A job may still be waiting in the queue: it is not doubled."""
    server.lpush(Lane.BULK.value, "a message")
    clock.now_s += RESEND_AFTER_S
    assert ledger.overdue() == []


def test_a_claim_starts_a_lease(ledger: JobLedger, clock: Clock) -> None:
    """A worker that has begun a job has its lease to finish it."""
    clock.now_s += 1
    assert ledger.claim("a-0")
    clock.now_s += LEASE_S - 1
    assert [entry.job_id for entry in ledger.overdue()] == ["a-1"]
    clock.now_s += 1
    assert [entry.job_id for entry in ledger.overdue()] == ["a-0"]


def test_an_unknown_job_is_not_claimed(ledger: JobLedger) -> None:
    """A job that is not in the ledger is nobody's work, and a claim does not put it there."""
    assert not ledger.claim("b-0")
    assert ledger.count_open(["b-0"]) == 0


def test_a_finished_job_is_struck_out(ledger: JobLedger, server: fakeredis.FakeRedis) -> None:
    """Storing the result and striking the job out are one step."""
    ledger.finish("a-0", "result")
    assert ledger.results(["a-0", "a-1"]) == [b"result", None]
    assert server.ttl("caas:result:a-0") == RESULT_TTL_S
    assert ledger.count_results(["a-0", "a-1"]) == 1
    assert ledger.count_open(["a-0", "a-1"]) == 1
    assert not server.exists("caas:job:a-0")
    assert not ledger.claim("a-0")


def test_a_cancelled_job_leaves_nothing(ledger: JobLedger, server: fakeredis.FakeRedis) -> None:
    """Cancelling removes open jobs and results alike."""
    ledger.finish("a-0", "result")
    ledger.cancel(["a-0", "a-1"])
    assert server.keys() == []


def test_a_result_that_comes_after_the_cancellation_is_not_kept(
    ledger: JobLedger, server: fakeredis.FakeRedis
) -> None:
    """A worker that had begun a job when it was taken back leaves nothing of it."""
    ledger.claim("a-0")
    ledger.cancel(["a-0", "a-1"])
    ledger.finish("a-0", "result")
    assert server.keys() == []


def test_a_cancellation_while_the_result_is_stored_wins(
    ledger: JobLedger, server: fakeredis.FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the ledger and the write a job may go: then nothing is written."""
    set_value = Pipeline.set

    def cancel_first(pipe: Pipeline, *args: Any, **kwargs: Any) -> Any:
        ledger.cancel(["a-0", "a-1"])
        return set_value(pipe, *args, **kwargs)

    monkeypatch.setattr(Pipeline, "set", cancel_first)
    ledger.finish("a-0", "result")
    assert server.keys() == []


def test_the_first_result_of_a_job_stays(ledger: JobLedger) -> None:
    """A job that ran twice keeps what it was finished with first."""
    ledger.finish("a-0", "first")
    ledger.finish("a-0", "second")
    assert ledger.results(["a-0"]) == [b"first"]


def test_a_job_whose_text_has_expired_is_dropped(
    ledger: JobLedger, server: fakeredis.FakeRedis, clock: Clock
) -> None:
    """An entry without its text can't be sent again and goes."""
    server.delete("caas:job:a-0")
    clock.now_s += RESEND_AFTER_S
    assert [entry.job_id for entry in ledger.overdue()] == ["a-1"]
    assert ledger.count_open(["a-0"]) == 0


def test_an_entry_shows_no_text() -> None:
    """The repr of an entry leaves the sealed text out."""
    assert "c2VhbGVk" not in repr(ENTRIES[0])
