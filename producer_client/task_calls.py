"""The way of a call for asyncio tasks: submit, wait, close. See `async_client.py`."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from caas_tasks.errors import ServiceError
from caas_tasks.names import Operation
from producer_client import wire
from producer_client.base import BaseClient
from producer_client.calls import TaskCall
from producer_client.flights import read_item
from producer_client.jobs import in_thread
from producer_client.many import ManyKind, Portion, portions_of

R = TypeVar("R")

ROOM_POLL_S: Final = 0.01
"""How often a task looks for room in the full queue, in seconds."""


class TaskCalls(BaseClient):
    """What every method of `AsyncClient` goes through."""

    async def request_items(
        self,
        operation: Operation,
        items: Sequence[wire.WireItem],
        *,
        api_key: str | None = None,
        timeout_s: float | None = None,
    ) -> list[wire.Answer | ServiceError]:
        """Items in wire form, for fronts that only pass requests on; split into messages as needed.

        Args:
            api_key: instead of the client's own.

        Returns:
            One answer or error an item, in order.

        Raises:
            ServiceError: the request as a whole was refused or not answered.
        """
        deadline = self._deadline(timeout_s, operation.lane)
        key = self._key(api_key)
        calls = [
            TaskCall(operation, key, portion, deadline)
            for portion in wire.portions(operation, items)
        ]
        try:
            for call in calls:
                await self._submit(call)
            return [read_item(answer) for call in calls for answer in await self._wait(call)]
        finally:
            self._abandon(calls)

    async def ping(self, *, timeout_s: float | None = None) -> None:
        """Go all the way: broker, a worker, and keys that fit.

        Raises:
            ServiceError: what is in the way.
        """
        operation, items, api_key = self.PROBE
        outcome: ServiceError | None = None
        try:
            await self.request_items(operation, items, api_key=api_key, timeout_s=timeout_s)
        except ServiceError as error:
            outcome = error
        self._check_probe(outcome)

    async def _one(self, operation: Operation, item: wire.WireItem, timeout_s: float | None) -> Any:
        deadline = self._deadline(timeout_s, operation.lane)
        call = TaskCall(operation, self._key(None), (item,), deadline)
        await self._submit(call)
        return self._only(await self._wait(call))

    async def _submit(self, call: TaskCall) -> None:
        while not self._of(call).submit(call, may_block=False):
            if time.monotonic() >= call.deadline:
                raise self._of(call).late()
            await asyncio.sleep(ROOM_POLL_S)

    async def _wait(self, call: TaskCall) -> list[wire.Answer]:
        in_time = False
        try:
            in_time = await call.wait(call.deadline - time.monotonic())
        finally:
            # Also when the task is cancelled: the call's place is free for others.
            error = None if in_time else self._of(call).give_up(call)
        if error is not None:
            raise error
        return call.result()

    async def close(self) -> None:
        """Close connections; calls under way fail. The client can't be used again."""
        await in_thread(self._close_lanes)

    async def _many(
        self,
        kind: ManyKind[R],
        rows: Iterable[object],
        on_progress: Callable[[int], None] | None,
        timeout_s: float | None,
    ) -> list[R | ServiceError]:
        lane = kind.operation.lane
        end = None if timeout_s is None else self._deadline(timeout_s, lane)
        results: list[R | ServiceError] = []
        under_way: deque[tuple[Portion[R], TaskCall | ServiceError | None]] = deque()
        try:
            for portion in portions_of(kind, rows):
                deadline = self._deadline(None, lane) if end is None else end
                under_way.append((portion, await self._start(kind.operation, portion, deadline)))
                if len(under_way) == kind.outstanding:
                    await self._finish(*under_way.popleft(), results, on_progress)
            while under_way:
                await self._finish(*under_way.popleft(), results, on_progress)
        finally:
            self._abandon(call for _, call in under_way)
        return results

    async def _start(
        self, operation: Operation, portion: Portion[R], deadline: float
    ) -> TaskCall | ServiceError | None:
        if not portion.items:
            return None
        try:
            call = TaskCall(operation, self._key(None), portion.items, deadline)
            await self._submit(call)
        except ServiceError as error:
            return error
        return call

    async def _finish(
        self,
        portion: Portion[R],
        call: TaskCall | ServiceError | None,
        results: list[R | ServiceError],
        on_progress: Callable[[int], None] | None,
    ) -> None:
        answers: list[wire.Answer] | ServiceError = []
        try:
            if isinstance(call, TaskCall):
                answers = await self._wait(call)
            elif call is not None:
                answers = call
        except ServiceError as error:
            answers = error
        results.extend(portion.settle(answers))
        if on_progress is not None:
            on_progress(len(results))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
