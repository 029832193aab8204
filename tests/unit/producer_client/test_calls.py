"""Calls: bounded when made, woken by whoever has their answers."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from caas_tasks.errors import InvalidRequestError, PayloadTooLargeError, ServiceUnavailableError
from caas_tasks.limits import MAX_ITEMS, MAX_PAYLOAD_BYTES
from caas_tasks.names import Operation
from producer_client import calls
from producer_client.calls import PAYLOAD_RESERVE_BYTES, Call, TaskCall, ThreadCall, wake

ITEM = {"userUUID": "u", "sensitiveData": "ä"}
SAFETY_S = 30.0


def thread_call(items: Any = (ITEM,)) -> ThreadCall:
    return ThreadCall(Operation.ENCRYPT, "key", items, math.inf)


def task_call() -> TaskCall:
    return TaskCall(Operation.ENCRYPT, "key", [ITEM], math.inf)


def test_items_are_encoded_once_and_counted() -> None:
    """A call's size is that of its JSON, commas included."""
    call = thread_call([ITEM, ITEM])
    text = '{"userUUID":"u","sensitiveData":"ä"}'.encode()
    assert call.encoded == [text, text]
    assert call.size_bytes == 2 * (len(text) + 1)


def test_call_without_items_is_refused() -> None:
    """There is no empty message."""
    with pytest.raises(InvalidRequestError):
        thread_call([])


def test_call_with_too_many_items_is_refused() -> None:
    """A message has a bounded number of items."""
    assert len(thread_call([ITEM] * MAX_ITEMS).encoded) == MAX_ITEMS
    with pytest.raises(PayloadTooLargeError):
        thread_call([ITEM] * (MAX_ITEMS + 1))


def test_call_too_large_for_a_message_is_refused() -> None:
    """A message has a bounded size, and its API key still fits."""
    largest = MAX_PAYLOAD_BYTES - PAYLOAD_RESERVE_BYTES
    empty = thread_call([{"v": ""}]).size_bytes
    assert thread_call([{"v": "x" * (largest - empty)}]).size_bytes == largest
    with pytest.raises(PayloadTooLargeError):
        thread_call([{"v": "x" * (largest - empty + 1)}])


@pytest.mark.parametrize(
    "value", ["\ud800", object(), {1, 2}.__iter__], ids=["surrogate", "object", "function"]
)
def test_what_json_can_not_hold_is_refused(value: object) -> None:
    """An item that can't be sent is refused when the call is made, and its value not shown."""
    with pytest.raises(InvalidRequestError) as caught:
        thread_call([{"v": value}])
    assert caught.value.__context__ is None
    assert "ud800" not in str(caught.value)


def test_a_cycle_is_refused() -> None:
    """An item that holds itself is no JSON."""
    item: dict[str, Any] = {}
    item["v"] = item
    with pytest.raises(InvalidRequestError):
        thread_call([item])


def test_thread_waits_until_it_is_woken() -> None:
    """The latch opens once the outcome is set, and not before."""
    call = thread_call()
    assert not call.wait(0)
    assert not call.wait(-1)
    call.outcome = [{"a": 1}]
    wake([call])
    assert call.wait(SAFETY_S)
    assert call.result() == [{"a": 1}]


def test_result_without_an_outcome_is_empty() -> None:
    """Before an outcome there are no answers."""
    assert thread_call().result() == []


def test_result_raises_what_the_call_failed_with() -> None:
    """A whole call's error is raised."""
    call = thread_call()
    call.outcome = ServiceUnavailableError()
    with pytest.raises(ServiceUnavailableError):
        call.result()


def test_base_call_can_not_be_woken() -> None:
    """Only subclasses know how a waiter waits."""
    call = Call(Operation.ENCRYPT, "key", [ITEM], 1.0)
    assert call.loop is None
    with pytest.raises(TypeError):
        call.wake()


async def _answered() -> bool:
    call = task_call()
    call.outcome = []
    wake([call])
    return await call.wait(SAFETY_S)


def test_task_waits_until_it_is_woken() -> None:
    """An asyncio task goes on once the outcome is set."""
    assert asyncio.run(_answered())


def test_task_is_told_of_its_timeout() -> None:
    """Without an outcome the wait ends by itself."""
    assert not asyncio.run(_timed_out())


async def _timed_out() -> bool:
    call = task_call()
    in_time = await call.wait(-1)
    call.wake()  # too late, and harmless
    return in_time


async def _handed_over(monkeypatch: pytest.MonkeyPatch) -> int:
    made = [task_call() for _ in range(50)]
    for call in made:
        call.outcome = []
    loop = asyncio.get_running_loop()
    handed: list[object] = []
    original = loop.call_soon_threadsafe

    def counted(*args: Any, **options: Any) -> Any:
        handed.append(args)
        return original(*args, **options)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    wake([*made, thread_call()])
    assert all([await call.wait(SAFETY_S) for call in made])
    return len(handed)


def test_tasks_of_a_loop_are_woken_in_one_hand_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message's calls cost one wake-up a loop, not one each."""
    assert asyncio.run(_handed_over(monkeypatch)) == 1


def test_waking_the_tasks_of_a_closed_loop_is_harmless() -> None:
    """A loop that ended under its tasks must not end the thread that reads replies."""

    async def make() -> TaskCall:
        return task_call()

    call = asyncio.run(make())
    other = thread_call()
    calls.wake([call, other])
    assert other.wait(SAFETY_S)
