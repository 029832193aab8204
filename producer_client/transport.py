"""The one seam between the client and the outside: sealed messages out, sealed replies in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from caas_tasks.names import Lane, Operation

MAX_SEND_S: Final = 3.0
"""Longest that `Transport.send` may take, in seconds, when the broker does not answer."""


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


class JobStore(Protocol):
    """Keeps bulk jobs and their results. Thread-safe; raises ServiceUnavailableError."""

    def enter(self, messages: Sequence[OutgoingMessage]) -> None:
        """Take jobs, all or none."""

    def results(self, job_ids: Sequence[str]) -> list[str | None]:
        """The sealed results, None where there is none yet."""

    def count_results(self, job_ids: Sequence[str]) -> int:
        """How many have a result."""

    def count_open(self, job_ids: Sequence[str]) -> int:
        """How many are still to be done."""

    def cancel(self, job_ids: Sequence[str]) -> None:
        """Take jobs back and drop their results."""

    def close(self) -> None:
        """Close connections."""


class Transport(Protocol):
    """Carries messages and replies. One thread sends at a time, one other thread receives."""

    jobs: JobStore

    def twin(self) -> Transport:
        """Another to the same place, with an inbox and connections of its own."""

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

    def interrupt(self) -> None:
        """End a `receive` under way in another thread; it may raise or return nothing."""

    def close(self) -> None:
        """Close connections. Nobody sends or receives any more."""

    def reset_after_fork(self) -> None:
        """In a forked child: forget the parent's connections, take a new inbox."""
