"""The queue of waiting calls: bounded, first in first out within a group, groups in turns."""

from __future__ import annotations

import pytest

from caas_tasks.limits import MAX_ITEM_BYTES
from caas_tasks.names import Operation
from producer_client import waiting
from producer_client.calls import Call
from producer_client.waiting import WaitingCalls


def make(
    name: str = "x",
    items: int = 1,
    *,
    operation: Operation = Operation.ENCRYPT,
    api_key: str = "key",
) -> Call:
    return Call(operation, api_key, [{"sensitiveData": name}] * items, 1.0)


def queue(*calls: Call) -> WaitingCalls:
    made = WaitingCalls()
    for call in calls:
        made.add(call)
    return made


def drain(waiting_calls: WaitingCalls) -> list[list[Call]]:
    messages = []
    while waiting_calls:
        messages.append(waiting_calls.take())
    return messages


def test_calls_of_a_group_leave_in_their_order() -> None:
    """First in, first out."""
    calls = [make(str(n)) for n in range(5)]
    assert drain(queue(*calls)) == [calls]


def test_groups_take_turns() -> None:
    """Neither an API key nor an operation with many calls starves the others."""
    busy = [make("busy", 500) for _ in range(3)]
    other_key = make("other key", api_key="other")
    other_operation = make("other operation", operation=Operation.VERIFY)
    messages = drain(queue(*busy, other_key, other_operation))
    assert messages == [[busy[0]], [other_key], [other_operation], [busy[1]], [busy[2]]]


def test_single_calls_do_not_queue_behind_many() -> None:
    """Whole portions of `encrypt_many` wait in a line of their own."""
    portions = [make("portion", 500) for _ in range(4)]
    single = make("single")
    messages = drain(queue(*portions, single))
    assert messages.index([single]) == 1


def test_latecomer_of_a_known_group_keeps_its_groups_turn() -> None:
    """A group that was served goes to the end of the line."""
    first, second = make("a", 500), make("b", 500)
    single = make("single")
    waiting_calls = queue(first, second, single)
    assert waiting_calls.take() == [first]
    third = make("c", 500)
    waiting_calls.add(third)
    assert drain(waiting_calls) == [[single], [second], [third]]


def test_message_has_a_bounded_number_of_items() -> None:
    """A message takes as many calls as fit in it."""
    calls = [make(str(n)) for n in range(waiting.MAX_MESSAGE_ITEMS + 1)]
    assert [len(message) for message in drain(queue(*calls))] == [waiting.MAX_MESSAGE_ITEMS, 1]


def test_call_that_would_overfill_a_message_takes_the_next() -> None:
    """A call is never split."""
    calls = [make("a", 300), make("b", 300)]
    assert drain(queue(*calls)) == [[calls[0]], [calls[1]]]


def test_call_with_more_items_than_a_message_has_goes_alone() -> None:
    """A caller's own request of up to a thousand items is one message."""
    calls = [make("a", 1_000), make("b", 2)]
    assert drain(queue(*calls)) == [[calls[0]], [calls[1]]]


def test_message_has_a_bounded_size() -> None:
    """Large items make small messages."""
    calls = [make("x" * MAX_ITEM_BYTES) for _ in range(20)]
    messages = drain(queue(*calls))
    assert [call for message in messages for call in message] == calls
    sizes = [sum(call.size_bytes for call in message) for message in messages]
    assert max(sizes) <= waiting.MAX_PAYLOAD_BYTES - waiting.PAYLOAD_RESERVE_BYTES
    assert len(messages) == 2


def test_queue_is_bounded_in_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that does not fit waits for room."""
    monkeypatch.setattr(waiting, "MAX_WAITING_ITEMS", 10)
    waiting_calls = queue(make("a", 8))
    assert waiting_calls.has_room(make("b", 2))
    assert not waiting_calls.has_room(make("b", 3))


def test_queue_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few large items fill the queue as many small ones do."""
    call = make()
    monkeypatch.setattr(waiting, "MAX_WAITING_BYTES", 2 * call.size_bytes)
    waiting_calls = queue(call)
    assert waiting_calls.has_room(make())
    assert not waiting_calls.has_room(make("xx"))


def test_lone_call_always_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call is too large for an empty queue."""
    monkeypatch.setattr(waiting, "MAX_WAITING_ITEMS", 1)
    monkeypatch.setattr(waiting, "MAX_WAITING_BYTES", 1)
    assert WaitingCalls().has_room(make("a", 1_000))


def test_removed_call_leaves_its_neighbours() -> None:
    """A call that gave up is gone, and nothing else."""
    first, second = make("a"), make("b")
    waiting_calls = queue(first, second)
    waiting_calls.remove(first)
    assert drain(waiting_calls) == [[second]]


@pytest.mark.parametrize("other", [make("same group"), make("no group", api_key="other")])
def test_removing_a_stranger_changes_nothing(other: Call) -> None:
    """A call that is not here can't be taken out."""
    call = make()
    waiting_calls = queue(call)
    waiting_calls.remove(other)
    assert drain(waiting_calls) == [[call]]


@pytest.mark.parametrize("how", ["take", "remove", "clear"])
def test_counts_return_to_nothing(how: str) -> None:
    """Items and bytes are given back however calls leave."""
    calls = [make("a", 3), make("b"), make("c", 3)]
    waiting_calls = queue(*calls)
    assert (waiting_calls.items, waiting_calls.size_bytes) == (
        7,
        sum(call.size_bytes for call in calls),
    )
    if how == "take":
        drain(waiting_calls)
    elif how == "remove":
        for call in calls:
            waiting_calls.remove(call)
    else:
        assert set(waiting_calls.clear()) == set(calls)
    assert not waiting_calls
    assert (waiting_calls.items, waiting_calls.size_bytes) == (0, 0)


def test_a_message_takes_no_more_than_its_share() -> None:
    """A smaller bound leaves the rest for the next message."""
    calls = [make(str(n)) for n in range(5)]
    waiting_calls = queue(*calls)
    assert [waiting_calls.take(3), waiting_calls.take(3)] == [calls[:3], calls[3:]]
