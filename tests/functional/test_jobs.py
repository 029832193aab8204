"""Bulk jobs through both clients: submit here, collect there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from caas_tasks.encoding import encode_json
from caas_tasks.envelope import UNREADABLE_REPLY
from caas_tasks.errors import (
    ConfigurationError,
    ForbiddenError,
    InvalidRequestError,
    PayloadTooLargeError,
    RequestTimeoutError,
    ServiceUnavailableError,
    UnreadableMessageError,
)
from producer_client import JobProgress, jobs
from producer_client.job_handle import JobHandle
from producer_client.testing import InMemoryService

USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
Call = Callable[..., Any]


def pairs(count: int) -> list[tuple[str, str]]:
    return [(USER_UUID, f"data {n}") for n in range(count)]


def test_job_gives_what_the_calls_would(call: Call) -> None:
    """Results stand in the order of the pairs, and may be collected again."""
    job = call("submit_encrypt_many", pairs(1_201))
    results = call("collect", job.handle)
    assert results == call("encrypt_many", pairs(1_201))
    assert call("collect", job.handle) == results


def test_job_collects_itself(surface: Any) -> None:
    """A job that is at hand needs no handle."""
    client = surface.client()
    job = surface.run(client.submit_encrypt_many(pairs(3)))
    assert len(surface.run(job.collect())) == 3
    assert len(surface.run(job.collect(timeout_s=1))) == 3


def test_job_is_collected_by_another_client(surface: Any) -> None:
    """The handle is enough, in any process."""
    one, other = surface.client(), surface.client()
    job = surface.run(one.submit_encrypt_many(iter(pairs(3))))
    assert len(surface.run(other.collect(job.handle))) == 3


def test_progress_counts_messages(surface: Any, service: InMemoryService) -> None:
    """A job of three messages is done in three steps."""
    client = surface.client()
    with service.silence():
        job = surface.run(client.submit_encrypt_many(pairs(1_201)))
        assert surface.run(job.progress()) == JobProgress(done=0, total=3)
    assert surface.run(job.progress()) == JobProgress(done=3, total=3)


def test_unfinished_job_is_a_timeout_and_can_be_collected_later(
    surface: Any, service: InMemoryService
) -> None:
    """Waiting too short loses nothing."""
    client = surface.client()
    with service.silence():
        job = surface.run(client.submit_encrypt_many(pairs(1)))
        with pytest.raises(RequestTimeoutError):
            surface.run(client.collect(job.handle, timeout_s=0.05))
    assert len(surface.run(job.collect())) == 1


@pytest.mark.parametrize("odd", [-1, 0, float("nan"), float("inf")])
def test_collect_refuses_a_timeout_that_is_none(
    surface: Any, service: InMemoryService, odd: float
) -> None:
    """A job's own `collect` has the bounds of the client's: no wait without an end."""
    job = surface.run(surface.client().submit_encrypt_many(pairs(1)))
    with pytest.raises(ConfigurationError, match="timeout_s"):
        surface.run(job.collect(timeout_s=odd))


def test_cancelled_job_is_not_known(surface: Any, service: InMemoryService) -> None:
    """A job that was taken back has no results."""
    client = surface.client()
    with service.silence():
        job = surface.run(client.submit_encrypt_many(pairs(1)))
        surface.run(job.cancel())
    with pytest.raises(InvalidRequestError, match="not known"):
        surface.run(client.collect(job.handle))


def test_job_is_submitted_whole_or_not_at_all(call: Call, service: InMemoryService) -> None:
    """During an outage a job is refused."""
    with service.outage(), pytest.raises(ServiceUnavailableError):
        call("submit_encrypt_many", pairs(1))


def test_job_needs_good_pairs(call: Call) -> None:
    """A job is refused at once for a pair that can't be sent, or none at all."""
    for odd in ([], [*pairs(2), (USER_UUID, "\ud800")], [None]):
        with pytest.raises(InvalidRequestError):
            call("submit_encrypt_many", odd)


def test_job_is_bounded(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job has a largest number of messages."""
    monkeypatch.setattr(jobs, "MAX_JOB_MESSAGES", 2)
    assert call("submit_encrypt_many", pairs(1_000)).handle
    with pytest.raises(PayloadTooLargeError):
        call("submit_encrypt_many", pairs(1_001))


def test_worker_refuses_a_job_as_it_does_a_call(surface: Any, service: InMemoryService) -> None:
    """A key without the scope is told when the job is collected."""
    client = surface.client(api_key=service.add_api_key(scopes=["verify"]))
    job = surface.run(client.submit_encrypt_many(pairs(1)))
    with pytest.raises(ForbiddenError):
        surface.run(client.collect(job.handle))


def test_bad_item_of_a_job_fails_alone(call: Call) -> None:
    """What only a worker can see stands in its place."""
    job = call("submit_encrypt_many", [*pairs(1), ("no uuid", "a"), *pairs(1)])
    first, bad, last = call("collect", job.handle)
    assert first == last
    assert isinstance(bad, InvalidRequestError)


@pytest.mark.parametrize("sealed", [UNREADABLE_REPLY, "", "AAAA", "A" * 400])
def test_forged_result_is_no_result(surface: Any, service: InMemoryService, sealed: str) -> None:
    """A result that is not authentic is an error, never an answer."""
    client = surface.client()
    job = surface.run(client.submit_encrypt_many(pairs(1)))
    service.jobs._results.update(dict.fromkeys(service.jobs._results, sealed))
    with pytest.raises(UnreadableMessageError):
        surface.run(client.collect(job.handle))


def test_swapped_results_are_no_results(surface: Any, service: InMemoryService) -> None:
    """A result store that mixes two messages of a job up is found out."""
    client = surface.client()
    job = surface.run(client.submit_encrypt_many(pairs(501)))
    one, other = service.jobs._results
    results = service.jobs._results
    results[one], results[other] = results[other], results[one]
    with pytest.raises(UnreadableMessageError):
        surface.run(client.collect(job.handle))


@pytest.mark.parametrize(
    "handle",
    [
        "",
        "canary",
        "caasjob1.",
        "caasjob1.canary",
        "caasjob1.AAAA",
        "caasjob1.é",
        JobHandle(bytes(16), 0, bytes(32)).to_text(),
        JobHandle(bytes(16), 401, bytes(32)).to_text(),
        JobHandle(bytes(16), 2**32 - 1, bytes(32)).to_text(),
        None,
        7,
    ],
)
def test_odd_handle_is_refused(call: Call, handle: Any) -> None:
    """What is no handle is refused, whatever number of messages it says."""
    with pytest.raises(InvalidRequestError) as caught:
        call("collect", handle)
    assert "canary" not in str(caught.value)


def test_handle_of_no_job_is_not_known(call: Call) -> None:
    """A well-formed handle that nobody was given finds nothing."""
    with pytest.raises(InvalidRequestError, match="not known"):
        call("collect", JobHandle(bytes(16), 1, bytes(32)).to_text())


def test_handle_shows_no_key() -> None:
    """A handle taken apart, in a log line, does not open the results."""
    handle = JobHandle(bytes(16), 1, b"k" * 32)
    assert "kkkk" not in repr(handle)
    assert JobHandle.from_text(handle.to_text()) == handle
    assert encode_json(handle.message_ids()) == b'["' + b"0" * 32 + b'-00000000"]'
