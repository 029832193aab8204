"""One call: some items of one operation that are sent together and answered together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from caas_tasks.encoding import encode_json
from caas_tasks.errors import InvalidRequestError, PayloadTooLargeError, ServiceError
from caas_tasks.limits import MAX_API_KEY_CHARS, MAX_ITEMS, MAX_PAYLOAD_BYTES
from caas_tasks.names import Operation
from producer_client.wire import Answer, WireItem

if TYPE_CHECKING:
    from producer_client.flights import Flight

PAYLOAD_RESERVE_BYTES: Final = 2 * MAX_API_KEY_CHARS * 6
"""What a payload holds beside its items, in bytes: field names and a JSON-escaped API key."""


class Call:
    """Waits for the answers to its items. Subclasses say how a waiter is woken.

    Attributes:
        encoded: each item's JSON.
        size_bytes: the sum of their lengths, commas included.
        deadline: monotonic seconds.
        outcome: the answers in order, or the error that the whole call failed with; None before.
        flight: the message it is in; None while it is queued, and again once it is answered.
        loop: the loop that its waiter runs on, or None for a thread.
        needs_reader: its waiter leaves reading to others; see `reading.py`.
        span: its trace's, while it is under way and traces are on; see `tracing.py`.
    """

    __slots__ = (
        *("api_key", "deadline", "encoded", "flight", "loop", "needs_reader", "operation"),
        *("outcome", "size_bytes", "span"),
    )

    def __init__(
        self, operation: Operation, api_key: str, items: Sequence[WireItem], deadline: float
    ) -> None:
        if not items:
            raise InvalidRequestError("A request needs at least one item.")
        if len(items) > MAX_ITEMS:
            raise PayloadTooLargeError(f"A request has at most {MAX_ITEMS} items.")
        self.operation = operation
        self.api_key = api_key
        self.encoded = [encode_json(item) for item in items]
        self.size_bytes = sum(map(len, self.encoded)) + len(self.encoded)
        if self.size_bytes > MAX_PAYLOAD_BYTES - PAYLOAD_RESERVE_BYTES:
            raise PayloadTooLargeError(f"A message is at most {MAX_PAYLOAD_BYTES} bytes.")
        self.deadline = deadline
        self.outcome: list[Answer] | ServiceError | None = None
        self.flight: Flight | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.needs_reader = True
        self.span: Any = None

    def wake(self) -> None:
        """Called once when `outcome` is set: from any thread, or on `loop` where there is one."""
        raise TypeError("a Call is used through its subclasses")

    def result(self) -> list[Answer]:
        """The answers.

        Raises:
            ServiceError: the whole call failed.
        """
        if isinstance(self.outcome, ServiceError):
            raise self.outcome
        return self.outcome or []


class ThreadCall(Call):
    """A call that a thread waits for."""

    __slots__ = ("_latch",)

    def __init__(
        self, operation: Operation, api_key: str, items: Sequence[WireItem], deadline: float
    ) -> None:
        super().__init__(operation, api_key, items, deadline)
        # A bare lock, taken and then released by the waker: an Event costs several times as much.
        self._latch = threading.Lock()
        self._latch.acquire()

    def wake(self) -> None:
        """Let the waiting thread go on."""
        self._latch.release()

    def wait(self, timeout_s: float) -> bool:
        """Whether the outcome came within `timeout_s`."""
        return self._latch.acquire(timeout=max(0.0, timeout_s))


class TaskCall(Call):
    """A call that an asyncio task waits for."""

    __slots__ = ("_future",)

    loop: asyncio.AbstractEventLoop

    def __init__(
        self, operation: Operation, api_key: str, items: Sequence[WireItem], deadline: float
    ) -> None:
        super().__init__(operation, api_key, items, deadline)
        self.loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self.loop.create_future()

    def wake(self) -> None:
        """Let the waiting task go on; called on its loop."""
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, timeout_s: float) -> bool:
        """Whether the outcome came within `timeout_s`."""
        timer = self.loop.call_later(max(0.0, timeout_s), self.wake)
        try:
            await self._future
        finally:
            timer.cancel()
        return self.outcome is not None


def wake(calls: Iterable[Call]) -> None:
    """Wake the waiters of some calls; one hand-over a loop, however many of its tasks wait."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Call]] = {}
    for call in calls:
        if call.loop is None:
            call.wake()
        else:
            by_loop.setdefault(call.loop, []).append(call)
    for loop, its_calls in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed under its waiters: nobody to wake
            loop.call_soon_threadsafe(_wake_each, its_calls)


def _wake_each(calls: list[Call]) -> None:
    for call in calls:
        call.wake()
