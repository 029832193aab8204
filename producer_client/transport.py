"""The one seam between the client and the outside: sealed messages out, sealed replies in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from caas_tasks.names import Lane, Operation


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A sealed request on its way to a lane."""

    operation: Operation
    lane: Lane
    message_id: str
    sealed: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IncomingReply:
    """A sealed reply, taken from the client's inbox."""

    message_id: str
    sealed: str = field(repr=False)


class Transport(Protocol):
    """Carries messages and replies. One thread sends at a time, one other thread receives."""

    def send(self, message: OutgoingMessage) -> None:
        """Put a message on its lane.

        Raises:
            ServiceUnavailableError: the broker can't be reached; the message may be sent again.
        """

    def receive(self, timeout_s: float) -> list[IncomingReply]:
        """Replies that have come, or an empty list after `timeout_s`.

        Raises:
            ServiceUnavailableError: the reply store can't be reached.
        """

    def close(self) -> None:
        """Close connections; a `receive` under way in another thread ends."""

    def reset_after_fork(self) -> None:
        """In a forked child: forget the parent's connections without touching them, take a new inbox."""
