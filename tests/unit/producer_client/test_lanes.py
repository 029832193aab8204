"""What waits for a lane, and that a password is sent again only when it is lost."""

from __future__ import annotations

from typing import Any

import pytest

from caas_tasks.names import Lane, Operation
from producer_client import lanes
from producer_client.calls import ThreadCall
from producer_client.flights import Flight
from producer_client.lanes import PasswordQueue, lane_queue
from producer_client.transport import OutgoingMessage

FAST, PASSWORD = Operation.ENCRYPT, Operation.HASH_PASSWORD


def call(operation: Operation = PASSWORD, deadline: float = 130.0) -> ThreadCall:
    return ThreadCall(operation, "key", [{"v": "x"}], deadline)


def flight(
    queue: Any, name: str, *, sent_at: float, deadline: float = 130.0, operation: Any = PASSWORD
) -> Flight:
    """A message in flight, sent at a time."""
    message = OutgoingMessage(operation, operation.lane, name, "sealed")
    waits_s = queue.first_resend_s(deadline - sent_at)
    made = Flight(message, None, [call(operation, deadline)], waits_s)  # type: ignore[arg-type]
    made.mark_sent(sent_at)
    queue.flights[name] = made
    return made


def names(flights: list[Flight]) -> list[str]:
    return [found.message.message_id for found in flights]


@pytest.mark.parametrize(
    ("lane", "most"),
    [(Lane.FAST, lanes.MAX_IN_FLIGHT), (Lane.PASSWORD, lanes.MAX_PASSWORDS_IN_FLIGHT)],
)
def test_a_lane_has_so_many_in_flight(lane: Lane, most: int) -> None:
    """Further calls wait; without any nothing may leave."""
    queue = lane_queue(lane)
    assert not queue.may_send(100.0)
    operation = FAST if lane is Lane.FAST else PASSWORD
    queue.waiting.add(call(operation))
    for number in range(most):
        assert queue.may_send(100.0)
        flight(queue, str(number), sent_at=100.0, operation=operation)
    assert not queue.may_send(100.0)


def test_each_password_is_a_message() -> None:
    """Passwords don't gather: all workers share them."""
    queue = PasswordQueue()
    waiting = [call() for _ in range(3)]
    for each in waiting:
        queue.waiting.add(each)
    assert [queue.take() for _ in range(3)] == [[each] for each in waiting]


@pytest.mark.parametrize(
    ("left_s", "resend_s", "lifetime_s"),
    [(30.0, 10.0, 25.0), (12.0, 6.0, 7.0), (4.0, 2.0, 2.0), (0.5, 1.0, 0.25)],
)
def test_times_of_a_password(left_s: float, resend_s: float, lifetime_s: float) -> None:
    """It is sent again late but in time, and expires before its caller has left."""
    queue = PasswordQueue()
    assert queue.first_resend_s(left_s) == resend_s
    assert queue.lifetime_s(left_s) == lifetime_s


def test_lost_password_is_sent_again() -> None:
    """On a lane where nothing moves, a message is due after its wait and not before."""
    queue = PasswordQueue()
    flight(queue, "one", sent_at=100.0)
    assert names(queue.overdue(109.9)) == []
    assert names(queue.overdue(110.0)) == ["one"]


def test_queued_password_is_not_sent_again() -> None:
    """While earlier messages are answered, a later one waits its turn."""
    queue = PasswordQueue()
    earlier = flight(queue, "earlier", sent_at=99.0)
    flight(queue, "later", sent_at=100.0)
    queue.flights.pop("earlier")
    queue.answered(earlier, now=108.0)
    assert names(queue.overdue(112.9)) == []
    assert names(queue.overdue(113.0)) == ["later"]


def test_password_whose_turn_has_passed_is_sent_again() -> None:
    """A message that one sent later was answered before is lost."""
    queue = PasswordQueue()
    flight(queue, "earlier", sent_at=99.0)
    later = flight(queue, "later", sent_at=100.0)
    queue.flights.pop("later")
    queue.answered(later, now=108.0)
    assert names(queue.overdue(109.0)) == ["earlier"]


@pytest.mark.parametrize("operation", [FAST, PASSWORD])
def test_past_its_deadline_a_message_is_forgotten(operation: Operation) -> None:
    """Nobody waits for it any more."""
    queue = lane_queue(operation.lane)
    flight(queue, "one", sent_at=100.0, operation=operation)
    assert queue.overdue(130.0) == []
    assert queue.flights == {}


@pytest.mark.parametrize("operation", [FAST, PASSWORD])
def test_clear_takes_everything_out(operation: Operation) -> None:
    """Waiting and in flight."""
    queue = lane_queue(operation.lane)
    queue.waiting.add(call(operation))
    flight(queue, "one", sent_at=100.0, operation=operation)
    assert len(queue.clear()) == 2
    assert not queue.waiting
    assert queue.flights == {}
