"""The dispatcher: who sends what and when, what is sent again, and how every call ends."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from caas_tasks.errors import (
    InternalError,
    RequestTimeoutError,
    ServiceUnavailableError,
    UnreadableMessageError,
)
from caas_tasks.names import Lane, Operation
from producer_client import dispatcher as dispatcher_module
from producer_client import lanes, reading, waiting
from producer_client.flights import Flight

SAFETY_S = 30.0


def in_thread(function: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    """Run a function in a thread; what it raises is in the list after a join."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, raised


def join(thread: threading.Thread) -> None:
    thread.join(SAFETY_S)
    assert not thread.is_alive()


def sent_data(rig: Any, number: int) -> list[str]:
    """The data of the items of a message that was sent."""
    body = json.loads(rig.transport.payload(rig.transport.sent[number]))
    return [item["sensitiveData"] for item in body["items"]]


# Sending


def test_lone_call_leaves_at_once_from_its_own_thread(rig: Any) -> None:
    """With nothing in the way there is no linger and no hand-over to another thread."""
    rig.submit()
    assert rig.transport.senders == [threading.get_ident()]


def test_message_goes_to_the_fast_lane(rig: Any) -> None:
    """A call that is waited for travels on the fast lane, under its operation."""
    rig.submit(operation=Operation.CANDIDATES)
    message = rig.transport.sent[0]
    assert (message.lane, message.operation) == (Lane.FAST, Operation.CANDIDATES)


def test_call_gets_its_answer(rig: Any) -> None:
    """A reply wakes the caller with the answers to its items."""
    call = rig.submit(items=3)
    rig.transport.answer(rig.transport.sent[0])
    assert call.wait(SAFETY_S)
    assert [answer["key_version"] for answer in call.result()] == [1, 1, 1]
    assert rig.is_empty()


def test_calls_gather_while_messages_are_in_flight(rig: Any) -> None:
    """Calls that come while messages are in flight leave together in one, once a place is free."""
    fillers = rig.fill()
    calls = [rig.submit(f"gathered {n}") for n in range(3)]
    rig.transport.answer(rig.transport.sent[0])
    rig.transport.wait_for_sent(len(fillers) + 1)
    assert sent_data(rig, -1) == ["gathered 0", "gathered 1", "gathered 2"]
    rig.transport.answer(rig.transport.sent[-1])
    assert all(call.wait(SAFETY_S) for call in calls)
    assert len({call.result()[0]["encrypted_data"] for call in calls}) == 3


def test_what_gathered_is_divided(rig: Any) -> None:
    """A message takes half of what is under way, so that client and worker both have work."""
    rig.fill()
    for number in range(40):
        rig.submit(f"divided {number}")
    for number in range(2):
        rig.transport.answer(rig.transport.sent[number])
        rig.transport.wait_for_sent(number + 3)
    assert [len(sent_data(rig, number)) for number in (2, 3)] == [21, 19]


def test_few_calls_are_not_divided(rig: Any) -> None:
    """Below `MIN_SHARE` a second message would cost more than it saves."""
    rig.fill()
    for number in range(lanes.MIN_SHARE):
        rig.submit(f"few {number}")
    rig.transport.answer(rig.transport.sent[0])
    rig.transport.wait_for_sent(3)
    assert len(sent_data(rig, 2)) == lanes.MIN_SHARE


def test_keys_and_operations_do_not_mix(rig: Any) -> None:
    """A message has one API key and one operation; what differs travels apart."""
    rig.fill()
    rig.submit("a")
    rig.submit("b", api_key=rig.service.add_api_key())
    rig.submit("c", operation=Operation.CANDIDATES)
    for number in range(4):
        rig.transport.wait_for_sent(number + 1)
        rig.transport.answer(rig.transport.sent[number])
    rig.transport.wait_for_sent(5)
    assert [sent_data(rig, number) for number in (2, 3, 4)] == [["a"], ["b"], ["c"]]


def test_stale_messages_hold_nobody_back(rig: Any) -> None:
    """Messages whose workers may be gone stop counting as in flight."""
    rig.fill()
    rig.submit("behind")
    assert len(rig.transport.sent) == 2
    rig.clock.forward(lanes.STALE_S)
    rig.transport.wait_for_sent(3)
    assert sent_data(rig, 2) == ["behind"]


def test_asyncio_calls_are_sent_by_the_pump(rig: Any) -> None:
    """A caller who must not block its loop leaves the sending to another thread."""
    assert rig.dispatcher.submit(rig.call(), may_block=False)
    rig.transport.wait_for_sent(1)
    assert rig.transport.senders != [threading.get_ident()]


def test_short_deadlines_are_not_risked_on_sending(rig: Any) -> None:
    """A caller whose deadline is nearer than a send may take does not send by itself."""
    rig.submit(timeout_s=0.5)
    rig.transport.wait_for_sent(1)
    assert rig.transport.senders != [threading.get_ident()]


def test_resting_pump_is_woken_by_the_next_message(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message is resent also when the pump had gone to rest before it was sent."""
    monkeypatch.setattr(dispatcher_module, "RESTING_TICKS", 1)
    monkeypatch.setattr(dispatcher_module, "TICK_S", 0.001)
    first = rig.submit()
    rig.transport.answer(rig.transport.sent[0])
    assert first.wait(SAFETY_S)
    pump_at_rest = threading.Event()
    wait = rig.dispatcher._work.wait

    def watched(timeout: float | None = None) -> bool:
        if timeout is None:
            pump_at_rest.set()
        return bool(wait(timeout))

    monkeypatch.setattr(rig.dispatcher._work, "wait", watched)
    rig.dispatcher._work.set()
    assert pump_at_rest.wait(SAFETY_S)
    rig.submit("after the rest")
    rig.clock.forward(1.0)
    rig.transport.wait_for_sent(3)
    assert rig.transport.sent[1] == rig.transport.sent[2]


# Resending, and which answer counts


def test_resend_keeps_the_id_and_the_bytes(rig: Any) -> None:
    """A message without a reply is sent again exactly as it was, after one and two seconds."""
    rig.submit()
    for count, wait_s in ((2, 1.0), (3, 2.0)):
        rig.clock.forward(wait_s)
        rig.transport.wait_for_sent(count)
    assert rig.transport.sent[0] == rig.transport.sent[1] == rig.transport.sent[2]


def test_resting_pump_holds_no_message(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's plaintext stays in memory because it was the last that was sent again."""
    call = rig.submit()
    rig.clock.forward(1.0)
    rig.transport.wait_for_sent(2)
    rig.dispatcher.give_up(call)
    looked = threading.Semaphore(0)
    overdue = rig.dispatcher._overdue

    def watched() -> list[Flight]:
        looked.release()
        return list(overdue())

    monkeypatch.setattr(rig.dispatcher, "_overdue", watched)
    assert all(looked.acquire(timeout=SAFETY_S) for _ in range(2))
    call.flight = None
    gc.collect()
    message = rig.transport.sent[0]
    # Not isinstance, which would wake the lazy objects of a framework that another test loaded.
    held = [found for found in gc.get_objects() if issubclass(type(found), Flight)]
    assert not [flight for flight in held if flight.message is message]


def test_first_answer_wins(rig: Any) -> None:
    """A second answer, of a run that a resend caused, is dropped."""
    call = rig.submit()
    message = rig.transport.sent[0]
    rig.transport.answer(message)
    assert call.wait(SAFETY_S)
    first = call.outcome
    other = rig.submit("keeps the reader reading")
    rig.transport.answer(message)
    rig.transport.answer(rig.transport.sent[1])
    assert other.wait(SAFETY_S)
    assert call.outcome is first


def test_reply_to_nobody_is_dropped(rig: Any) -> None:
    """A reply under an unknown id changes nothing."""
    call = rig.submit()
    rig.transport.reply("6f1d7c1e-8f0e-4c55-9d55-1f2f3a4b5c6d", "AAAA")
    rig.transport.answer(rig.transport.sent[0])
    assert call.wait(SAFETY_S)


@pytest.mark.parametrize("forged", ["", "AAAA", "?", "é", "A" * 400])
def test_forged_reply_ends_in_a_timeout(rig: Any, forged: str) -> None:
    """A reply that is not authentic is no answer: the caller waits on, at most to its deadline."""
    call = rig.submit()
    rig.transport.reply(rig.transport.sent[0].message_id, forged)
    rig.transport.wait_until_read()
    assert isinstance(rig.dispatcher.give_up(call), RequestTimeoutError)


def test_reply_of_another_message_is_forged(rig: Any) -> None:
    """A broker that swaps two replies gets neither of them taken."""
    calls = rig.fill()
    first, second = rig.transport.sent
    rig.transport.reply(first.message_id, rig.service.take(second).sealed)
    rig.transport.reply(second.message_id, rig.service.take(first).sealed)
    rig.transport.wait_until_read()
    assert [call.outcome for call in calls] == [None, None]


def test_genuine_reply_counts_after_a_forged_one(rig: Any) -> None:
    """A forger can't use up a message's one answer."""
    call = rig.submit()
    rig.transport.reply(rig.transport.sent[0].message_id, "AAAA")
    rig.transport.answer(rig.transport.sent[0])
    assert call.wait(SAFETY_S)
    assert call.result()[0]["key_version"] == 1


def test_unreadable_message_fails_its_calls(rig: Any) -> None:
    """What a worker could not open has a typed error."""
    call = rig.submit()
    rig.transport.reply(rig.transport.sent[0].message_id, "unreadable")
    assert call.wait(SAFETY_S)
    assert isinstance(call.outcome, UnreadableMessageError)


@pytest.mark.parametrize(
    "body", [b"[]", b"nothing", b'{"items":7}', b'{"items":[1]}', b'{"items":[]}', b"{}"]
)
def test_odd_body_is_an_internal_error_and_the_reader_goes_on(rig: Any, body: bytes) -> None:
    """An authentic reply of another form fails its own call and no later one."""
    call = rig.submit()
    rig.transport.reply_body(rig.transport.sent[0], body)
    assert call.wait(SAFETY_S)
    assert isinstance(call.outcome, InternalError)
    after = rig.submit()
    rig.transport.answer(rig.transport.sent[1])
    assert after.wait(SAFETY_S)
    assert after.result()


# Deadlines, giving up and back-pressure


def test_call_given_up_in_flight_frees_its_place(rig: Any) -> None:
    """A message is forgotten with the last caller who waits for it."""
    call = rig.submit()
    assert isinstance(rig.dispatcher.give_up(call), RequestTimeoutError)
    assert rig.is_empty()


def test_call_given_up_while_queued_is_not_sent(rig: Any) -> None:
    """A call whose deadline passed in the queue never leaves, its neighbour does."""
    rig.fill()
    gone = rig.submit("gone")
    rig.submit("stays")
    assert isinstance(rig.dispatcher.give_up(gone), RequestTimeoutError)
    rig.transport.answer(rig.transport.sent[0])
    rig.transport.wait_for_sent(3)
    assert sent_data(rig, 2) == ["stays"]


def test_neighbour_of_a_call_given_up_gets_its_own_answer(rig: Any) -> None:
    """Answers stay with their items when a call of the same message has left."""
    fillers = rig.fill()
    gone, stays = rig.submit("gone"), rig.submit("stays", items=1)
    rig.transport.answer(rig.transport.sent[0])
    rig.transport.wait_for_sent(3)
    rig.dispatcher.give_up(gone)
    rig.transport.answer(rig.transport.sent[2])
    assert stays.wait(SAFETY_S)
    rig.transport.answer(rig.transport.sent[1])
    assert all(call.wait(SAFETY_S) for call in fillers)
    with rig.service.client() as client:
        assert stays.result()[0]["encrypted_data"] == (
            client.encrypt(rig.user_uuid, "stays").encrypted_data
        )


def test_giving_up_too_late_keeps_the_answer(rig: Any) -> None:
    """An answer that comes as the deadline passes is not thrown away."""
    call = rig.submit()
    rig.transport.answer(rig.transport.sent[0])
    assert call.wait(SAFETY_S)
    assert rig.dispatcher.give_up(call) is None


def test_giving_up_twice_changes_nothing(rig: Any) -> None:
    """A caller may free its place more than once."""
    call = rig.submit()
    rig.dispatcher.give_up(call)
    assert isinstance(rig.dispatcher.give_up(call), RequestTimeoutError)
    assert rig.is_empty()


def test_message_of_callers_that_just_left_is_dropped_at_its_deadline(rig: Any) -> None:
    """A caller ended by Ctrl-C never gives up; its message is not sent again for ever."""
    rig.submit(timeout_s=1.0)
    rig.transport.wait_for_sent(1)
    rig.clock.forward(1.0)
    rig.submit("later", timeout_s=600)
    rig.clock.forward(1.0)
    rig.transport.wait_for(lambda: len(rig.transport.sent) >= 3)
    assert sent_data(rig, 2) == ["later"]
    assert len(rig.dispatcher._queue.flights) == 1


def test_full_queue_has_no_room_for_an_asyncio_call(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller who must not block is told to try again, and gets in when there is room."""
    monkeypatch.setattr(waiting, "MAX_WAITING_ITEMS", 1)
    rig.fill()
    queued, late = rig.submit("queued"), rig.call("late")
    assert not rig.dispatcher.submit(late, may_block=False)
    rig.dispatcher.give_up(queued)
    assert rig.dispatcher.submit(late, may_block=False)


def test_full_queue_blocks_a_thread_until_its_deadline(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back-pressure ends at the call's own deadline, with a typed error."""
    monkeypatch.setattr(waiting, "MAX_WAITING_ITEMS", 1)
    rig.fill()
    rig.submit("queued")
    with pytest.raises(RequestTimeoutError):
        rig.submit("waits for room", timeout_s=0.01)


def test_full_queue_refuses_a_call_past_its_deadline(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that has no time left does not wait for room at all."""
    monkeypatch.setattr(waiting, "MAX_WAITING_ITEMS", 1)
    rig.fill()
    rig.submit("queued")
    with pytest.raises(RequestTimeoutError):
        rig.submit("late", timeout_s=-1)


def blocked_submit(rig: Any) -> tuple[threading.Thread, list[BaseException]]:
    """A thread that waits for room in a full queue."""
    blocked = threading.Event()
    wait = rig.dispatcher._room.wait

    def watched(timeout: float | None = None) -> bool:
        blocked.set()
        return bool(wait(timeout))

    rig.dispatcher._room.wait = watched
    thread, raised = in_thread(lambda: rig.submit("waits for room", timeout_s=SAFETY_S))
    assert blocked.wait(SAFETY_S)
    return thread, raised


def test_blocked_thread_goes_on_when_there_is_room(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that leaves makes room for those who wait to queue."""
    monkeypatch.setattr(waiting, "MAX_WAITING_ITEMS", 1)
    rig.fill()
    rig.submit("queued")
    thread, raised = blocked_submit(rig)
    rig.transport.answer(rig.transport.sent[0])
    join(thread)
    assert raised == []


def test_close_ends_a_thread_that_waits_for_room(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing does not leave a thread in the queue's doorway."""
    monkeypatch.setattr(waiting, "MAX_WAITING_ITEMS", 1)
    rig.fill()
    rig.submit("queued")
    thread, raised = blocked_submit(rig)
    rig.dispatcher.close()
    join(thread)
    assert [type(error) for error in raised] == [ServiceUnavailableError]


# A broker that can't be reached


def test_unreachable_broker_is_told_from_a_silent_one(rig: Any) -> None:
    """A deadline that passes while the broker is away says so."""
    rig.transport.is_down = True
    call = rig.submit()
    assert isinstance(rig.dispatcher.give_up(call), ServiceUnavailableError)


def test_message_that_was_not_taken_is_tried_again(rig: Any) -> None:
    """An outage shorter than the deadline costs time and no call."""
    rig.transport.is_down = True
    call = rig.submit()
    rig.transport.is_down = False
    rig.clock.forward(0.1)
    rig.transport.wait_for_sent(1)
    rig.transport.answer(rig.transport.sent[0])
    assert call.wait(SAFETY_S)
    assert call.result()


def test_callers_do_not_send_during_an_outage(rig: Any) -> None:
    """After a failed send only the pump tries, so that callers do not wait for a dead broker."""
    rig.transport.is_down = True
    rig.submit()
    attempts = rig.transport.attempts
    second = rig.submit()
    rig.transport.wait_for(lambda: rig.transport.attempts > attempts)
    rig.transport.is_down = False
    rig.clock.forward(0.1)
    rig.transport.wait_for_sent(2)
    assert threading.get_ident() not in rig.transport.senders
    rig.transport.answer(rig.transport.sent[1])
    rig.transport.answer(rig.transport.sent[0])
    assert second.wait(SAFETY_S)


def test_lost_reply_connection_counts_as_unreachable_until_it_is_back(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that can't reach the reply store tries on; replies that came meanwhile are read."""
    monkeypatch.setattr(reading, "_BACKOFF_S", (0.0, 0.001))
    rig.transport.is_deaf = True
    call = rig.submit()
    rig.transport.wait_for(lambda: rig.transport._looks >= 4)
    assert isinstance(rig.dispatcher.late(), ServiceUnavailableError)
    rig.transport.answer(rig.transport.sent[0])
    rig.transport.is_deaf = False
    assert call.wait(SAFETY_S)
    assert isinstance(rig.dispatcher.late(), RequestTimeoutError)


# The end, and the child of a fork


def test_close_ends_queued_and_flying_calls(rig: Any) -> None:
    """Nobody waits for a closed client."""
    calls = [*rig.fill(), rig.submit("queued")]
    rig.dispatcher.close()
    assert all(call.wait(SAFETY_S) for call in calls)
    assert {type(call.outcome) for call in calls} == {ServiceUnavailableError}
    assert rig.is_empty()


def test_close_ends_both_threads(rig: Any) -> None:
    """A closed client leaves no thread behind."""
    rig.submit()
    threads = list(rig.dispatcher._threads)
    rig.dispatcher.close()
    assert [thread.is_alive() for thread in threads] == [False, False]


def test_close_twice_is_once(rig: Any) -> None:
    """Closing again does no harm, nor does closing what was never used."""
    rig.dispatcher.close()
    rig.dispatcher.close()
    assert rig.transport.closed == 2


def test_close_from_a_worker_thread_does_not_wait_for_itself(rig: Any) -> None:
    """The reader itself may close, as a callback in it might."""
    rig.submit()
    current = threading.current_thread()
    rig.dispatcher._threads.append(current)
    rig.dispatcher.close()
    assert rig.transport.closed == 1


def test_closed_dispatcher_takes_no_call(rig: Any) -> None:
    """Use after close is an error, at once."""
    rig.dispatcher.close()
    with pytest.raises(ServiceUnavailableError, match="closed"):
        rig.submit()


def test_child_of_a_fork_starts_afresh(rig: Any) -> None:
    """The child has locks, threads, a session and an inbox of its own, and none of the calls."""
    rig.submit("the parent's")
    parents = [rig.dispatcher._lock, rig.dispatcher._sessions, *rig.dispatcher._threads]
    parents_reader = rig.dispatcher._reader
    stopped, work, expecting = (
        rig.dispatcher._stopped,
        rig.dispatcher._work,
        rig.dispatcher._reader._expecting,
    )
    rig.dispatcher.reset_after_fork()
    assert rig.transport.resets == 1
    assert rig.is_empty()
    assert rig.dispatcher._lock not in parents
    assert rig.dispatcher._sessions not in parents
    assert rig.dispatcher._threads == []
    parents_reader._stopped.set()
    for event in (stopped, work, expecting):
        event.set()  # ends the threads that a real child would not have
