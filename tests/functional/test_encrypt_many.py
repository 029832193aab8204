"""`encrypt_many`: order, progress, failures in their places, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from caas_tasks.errors import (
    ForbiddenError,
    InvalidRequestError,
    PayloadTooLargeError,
    RequestTimeoutError,
    ServiceUnavailableError,
    UnauthorizedError,
)
from caas_tasks.names import Lane
from producer_client import Encrypted
from producer_client.testing import InMemoryService

USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
GOOD = (USER_UUID, "data")
Call = Callable[..., Any]


def is_idle(client: Any) -> bool:
    """Whether the client's dispatchers hold nothing."""
    return all(each.is_idle for each in client._dispatchers.values())


def test_results_stand_in_the_order_of_the_pairs(call: Call) -> None:
    """2,500 pairs of six messages come back where they were."""
    pairs = [(USER_UUID, f"data {n}") for n in range(2_500)]
    results = call("encrypt_many", pairs)
    assert len(set(results)) == 2_500
    for n in (0, 499, 500, 1_234, 2_499):
        assert results[n] == call("encrypt", *pairs[n])


def test_progress_counts_what_is_done(call: Call) -> None:
    """The last count is all; counts only grow."""
    counts: list[int] = []
    call("encrypt_many", [GOOD] * 2_500, counts.append)
    assert counts == [500, 1_000, 1_500, 2_000, 2_500]


def test_nothing_gives_nothing(call: Call) -> None:
    """No pairs, no message, no progress."""
    counts: list[int] = []
    assert call("encrypt_many", [], counts.append) == []
    assert counts == []


def test_any_iterable_will_do(call: Call) -> None:
    """A generator is read as the work goes on."""
    assert len(call("encrypt_many", (GOOD for _ in range(700)))) == 700


@pytest.mark.parametrize(
    ("pair", "error"),
    [
        ((f"{{{USER_UUID}}}", "a"), InvalidRequestError),
        ((USER_UUID[:-1], "a"), InvalidRequestError),
        ((7, "a"), InvalidRequestError),
        ((USER_UUID, None), InvalidRequestError),
        ((USER_UUID, "\ud800"), InvalidRequestError),
        ((USER_UUID, "x" * 65_537), PayloadTooLargeError),
        ((USER_UUID, "ä" * 40_000), PayloadTooLargeError),
        ("no pair", InvalidRequestError),
    ],
)
def test_bad_pair_fails_alone(call: Call, pair: Any, error: type[Exception]) -> None:
    """An error stands in the bad pair's place, a result in every other."""
    before, bad, after = call("encrypt_many", [GOOD, pair, GOOD])
    assert before == after == call("encrypt", *GOOD)
    assert type(bad) is error


def test_nothing_but_bad_pairs_sends_nothing(call: Call, service: InMemoryService) -> None:
    """Errors found here need no service."""
    with service.outage():
        results = call("encrypt_many", [None, None])
    assert {type(result) for result in results} == {InvalidRequestError}


def test_silence_is_an_error_in_every_place(call: Call, service: InMemoryService) -> None:
    """A deadline for the whole holds; what was not answered is a timeout."""
    with service.silence():
        results = call("encrypt_many", [GOOD] * 600, timeout_s=0.05)
    assert {type(result) for result in results} == {RequestTimeoutError}
    assert len(results) == 600


def test_each_message_has_the_clients_timeout(surface: Any, service: InMemoryService) -> None:
    """Without a deadline for the whole, no message waits longer than the client does."""
    client = surface.client(timeout_s=0.05)
    with service.outage():
        surface.notice_outage(client)
        results = surface.run(client.encrypt_many([GOOD]))
    assert [type(result) for result in results] == [ServiceUnavailableError]


def test_key_without_the_scope_ends_the_whole(surface: Any, service: InMemoryService) -> None:
    """What every pair would fail with is raised, and no message is left behind."""
    client = surface.client(api_key=service.add_api_key(scopes=["verify"]))
    with pytest.raises(ForbiddenError):
        surface.run(client.encrypt_many([GOOD] * 2_500))
    assert is_idle(client)


def test_revoked_key_ends_the_whole(surface: Any, service: InMemoryService) -> None:
    """A revoked key is refused at the first message."""
    client = surface.client()
    service.revoke_api_key(service.api_key)
    with pytest.raises(UnauthorizedError):
        surface.run(client.encrypt_many([GOOD] * 2_500))
    assert is_idle(client)


def test_broken_iterable_leaves_nothing_behind(surface: Any, service: InMemoryService) -> None:
    """An exception of the caller's own ends the work, and frees its places."""

    def broken() -> Iterator[tuple[str, str]]:
        for _ in range(600):
            yield GOOD
        for _ in range(1_000):
            yield (USER_UUID, "\ud800")  # a message of nothing but these is never sent
        raise LookupError

    client = surface.client()
    with service.silence(), pytest.raises(LookupError):
        surface.run(client.encrypt_many(broken()))
    assert is_idle(client)


def test_closed_client_answers_with_errors_in_place(surface: Any) -> None:
    """After close every pair is told that there is no service."""
    client = surface.client()
    surface.run(client.close())
    (result,) = surface.run(client.encrypt_many([GOOD]))
    assert type(result) is ServiceUnavailableError


def test_cancelled_work_leaves_nothing_behind(service: InMemoryService) -> None:
    """Cancelling frees the places of all its messages, not only of the one that is awaited."""

    async def cancel() -> bool:
        async with service.async_client() as client:
            with service.silence():
                task = asyncio.create_task(client.encrypt_many([GOOD] * 1_200))
                while not client._dispatchers[Lane.FAST]._queue.flights:  # noqa: ASYNC110 - a thread does it
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            return is_idle(client)

    assert asyncio.run(cancel())


def test_result_has_the_type_of_a_single_one(call: Call) -> None:
    """A result is what `encrypt` returns."""
    assert [type(result) for result in call("encrypt_many", [GOOD])] == [Encrypted]
