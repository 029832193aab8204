"""What waits for a lane and what is in flight on it.

Not thread-safe: the lane's dispatcher uses it under its lock, except for `may_send`.
"""

from __future__ import annotations

from typing import Final

from caas_tasks.limits import CLOCK_TOLERANCE_MS
from caas_tasks.names import Lane
from producer_client.calls import Call
from producer_client.flights import FIRST_RESEND_S, Flight
from producer_client.waiting import MAX_MESSAGE_ITEMS, WaitingCalls

MAX_IN_FLIGHT: Final = 2
"""Messages in flight before further calls gather: one is worked on while the next is on its way."""

MIN_SHARE: Final = 8
"""Items below which what waits is not divided between messages."""

STALE_S: Final = 0.25
"""A message without a reply for this long no longer holds back others: its worker may be gone."""

MAX_PASSWORDS_IN_FLIGHT: Final = 128
"""Passwords in flight: enough for every thread of a fleet, few enough that a burst waits here,
where a call that gives up costs no worker anything."""

PASSWORD_RESEND_S: Final = 10.0
"""Longest wait before a password is first sent again: it may be queued, and costs as much twice."""


class LaneQueue:
    """One lane's waiting calls and messages in flight.

    Attributes:
        flights: by message id.
    """

    def __init__(self) -> None:
        self.waiting = WaitingCalls()
        self.flights: dict[str, Flight] = {}

    def may_send(self, now: float) -> bool:
        """Whether a message may leave; a hint, without the lock."""
        if not self.waiting:
            return False
        if len(self.flights) < MAX_IN_FLIGHT:
            return True
        flights = list(self.flights.values())
        return sum(flight.sent_at > now - STALE_S for flight in flights) < MAX_IN_FLIGHT

    def take(self) -> list[Call]:
        """The calls of the next message; at least one must wait."""
        # So many items that client and worker both have work.
        in_flight = sum(len(flight.calls) for flight in self.flights.values())
        share = -(-(self.waiting.items + in_flight) // MAX_IN_FLIGHT)
        return self.waiting.take(min(MAX_MESSAGE_ITEMS, max(MIN_SHARE, share)))

    def lifetime_s(self, left_s: float) -> float:
        """How long a message stays valid whose callers wait for `left_s` more seconds."""
        return left_s

    def first_resend_s(self, left_s: float) -> float:
        """How long to wait before a message is sent again for the first time."""
        return FIRST_RESEND_S

    def answered(self, flight: Flight, now: float) -> None:
        """Note that a message was answered."""

    def overdue(self, now: float) -> list[Flight]:
        """The messages to send again; those past their deadline are forgotten."""
        for message_id, flight in list(self.flights.items()):
            if flight.deadline <= now:  # a caller may have left without giving up, as by Ctrl-C
                del self.flights[message_id]
        return [flight for flight in self.flights.values() if flight.due_at <= now]

    def clear(self) -> list[Call]:
        """Take everything out; the calls that waited."""
        calls = self.waiting.clear()
        for flight in self.flights.values():
            calls.extend(flight.calls)
        self.flights.clear()
        return calls


class PasswordQueue(LaneQueue):
    """The password lane: each call a message, many in flight, sent again only when lost.

    A hash takes a tenth of a second of a worker's thread, and a burst of them queues. So nothing
    gathers: messages spread over all workers. And a message is not sent again while it may still
    be queued: answers come roughly in the order of sending, so that as long as some come and none
    to a later message, its turn has not come.
    """

    def __init__(self) -> None:
        super().__init__()
        self._answered_at = float("-inf")
        self._answered_sent_at = float("-inf")

    def may_send(self, now: float) -> bool:
        """Whether a message may leave; a hint, without the lock."""
        return bool(self.waiting) and len(self.flights) < MAX_PASSWORDS_IN_FLIGHT

    def take(self) -> list[Call]:
        """The next call."""
        return self.waiting.take(1)

    def lifetime_s(self, left_s: float) -> float:
        """Shorter by what workers grant to clocks, lest they hash for callers who have left."""
        return left_s - min(CLOCK_TOLERANCE_MS / 1_000, left_s / 2)

    def first_resend_s(self, left_s: float) -> float:
        """Late, and yet in time for another worker."""
        return max(FIRST_RESEND_S, min(PASSWORD_RESEND_S, left_s / 2))

    def answered(self, flight: Flight, now: float) -> None:
        """Note that a message was answered, and so the turn of those sent before it has come."""
        self._answered_at = now
        self._answered_sent_at = max(self._answered_sent_at, flight.sent_at)

    def overdue(self, now: float) -> list[Flight]:
        """The messages that are due and whose turn has come, or on whose lane nothing moves."""
        return [flight for flight in super().overdue(now) if not self._is_queued(flight, now)]

    def _is_queued(self, flight: Flight, now: float) -> bool:
        moves = self._answered_at > now - flight.patience_s
        return moves and flight.sent_at > self._answered_sent_at


def lane_queue(lane: Lane) -> LaneQueue:
    """The queue for a lane's calls."""
    return PasswordQueue() if lane is Lane.PASSWORD else LaneQueue()
