"""One call: some items of one operation that are sent together and answered together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

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
        flight: the message it went out in, or None while it is queued.
    """

    __slots__ = ("api_key", "deadline", "encoded", "flight", "operation", "outcome", "size_bytes")

    def __init__(
        self, operation: Operation, api_key: str, items: Sequence[WireItem], deadline: float
    ) -> None:
        if not items:
            raise InvalidRequestError("A request needs at least one item.")
        if len(items) > MAX_ITEMS:
            raise PayloadTooLargeError(f"A request has at most {MAX_ITEMS} items.")
        self.operation = operation
        self.api_key = api_key
        self.encoded = [_encode(item) for item in items]
        self.size_bytes = sum(map(len, self.encoded)) + len(self.encoded)
        if self.size_bytes > MAX_PAYLOAD_BYTES - PAYLOAD_RESERVE_BYTES:
            raise PayloadTooLargeError(f"A message is at most {MAX_PAYLOAD_BYTES} bytes.")
        self.deadline = deadline
        self.outcome: list[Answer] | ServiceError | None = None
        self.flight: Flight | None = None

    def wake(self) -> None:
        """Called once, from any thread, when `outcome` is set."""
        raise TypeError("a Call is used through its subclasses")

    def result(self) -> list[Answer]:
        """The answers.

        Raises:
            ServiceError: the whole call failed.
        """
        if isinstance(self.outcome, ServiceError):
            raise self.outcome
        return self.outcome or []


def _encode(item: WireItem) -> bytes:
    try:
        return encode_json(item)
    except (TypeError, ValueError, RecursionError):
        pass
    raise InvalidRequestError("An item holds something that JSON cannot.")


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

    __slots__ = ("_future", "_loop")

    def __init__(
        self, operation: Operation, api_key: str, items: Sequence[WireItem], deadline: float
    ) -> None:
        super().__init__(operation, api_key, items, deadline)
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> None:
        """Let the waiting task go on."""
        with suppress(RuntimeError):  # the loop was closed under its waiter: nobody to wake
            self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, timeout_s: float) -> bool:
        """Whether the outcome came within `timeout_s`."""
        timer = self._loop.call_later(max(0.0, timeout_s), self._resolve)
        try:
            await self._future
        finally:
            timer.cancel()
        return self.outcome is not None
