"""The way of a call for threads: submit, wait, close. See `client.py`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from caas_tasks.errors import ServiceError
from caas_tasks.names import Operation
from producer_client import wire
from producer_client.base import BaseClient
from producer_client.calls import ThreadCall
from producer_client.flights import read_item
from producer_client.many import ManyKind, Portion, portions_of

R = TypeVar("R")


class ThreadCalls(BaseClient):
    """What every method of `Client` goes through."""

    def request_items(
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
            ThreadCall(operation, key, portion, deadline)
            for portion in wire.portions(operation, items)
        ]
        try:
            for call in calls:
                self._of(call).submit(call, may_block=True)
            return [read_item(answer) for call in calls for answer in self._wait(call)]
        finally:
            self._abandon(calls)

    def ping(self, *, timeout_s: float | None = None) -> None:
        """Go all the way: broker, a worker, and keys that fit.

        Raises:
            ServiceError: what is in the way.
        """
        operation, items, api_key = self.PROBE
        outcome: ServiceError | None = None
        try:
            self.request_items(operation, items, api_key=api_key, timeout_s=timeout_s)
        except ServiceError as error:
            outcome = error
        self._check_probe(outcome)

    def _one(self, operation: Operation, item: wire.WireItem, timeout_s: float | None) -> Any:
        deadline = self._deadline(timeout_s, operation.lane)
        call = ThreadCall(operation, self._key(None), (item,), deadline)
        return self._only(self._result(call, in_time=self._of(call).ask(call)))

    def _wait(self, call: ThreadCall) -> list[wire.Answer]:
        return self._result(call, in_time=call.wait(call.deadline - time.monotonic()))

    def _result(self, call: ThreadCall, *, in_time: bool) -> list[wire.Answer]:
        if not in_time:
            error = self._of(call).give_up(call)
            if error is not None:
                raise error
        return call.result()

    def close(self) -> None:
        """Close connections; calls under way fail. The client can't be used again."""
        self._close_lanes()

    def _many(
        self,
        kind: ManyKind[R],
        rows: Iterable[object],
        on_progress: Callable[[int], None] | None,
        timeout_s: float | None,
    ) -> list[R | ServiceError]:
        lane = kind.operation.lane
        end = None if timeout_s is None else self._deadline(timeout_s, lane)
        results: list[R | ServiceError] = []
        under_way: deque[tuple[Portion[R], ThreadCall | ServiceError | None]] = deque()
        try:
            for portion in portions_of(kind, rows):
                deadline = self._deadline(None, lane) if end is None else end
                under_way.append((portion, self._start(kind.operation, portion, deadline)))
                if len(under_way) == kind.outstanding:
                    self._finish(*under_way.popleft(), results, on_progress)
            while under_way:
                self._finish(*under_way.popleft(), results, on_progress)
        finally:
            self._abandon(call for _, call in under_way)
        return results

    def _start(
        self, operation: Operation, portion: Portion[R], deadline: float
    ) -> ThreadCall | ServiceError | None:
        if not portion.items:
            return None
        try:
            call = ThreadCall(operation, self._key(None), portion.items, deadline)
            self._of(call).submit(call, may_block=True)
        except ServiceError as error:
            return error
        return call

    def _finish(
        self,
        portion: Portion[R],
        call: ThreadCall | ServiceError | None,
        results: list[R | ServiceError],
        on_progress: Callable[[int], None] | None,
    ) -> None:
        answers: list[wire.Answer] | ServiceError = []
        try:
            if isinstance(call, ThreadCall):
                answers = self._wait(call)
            elif call is not None:
                answers = call
        except ServiceError as error:
            answers = error
        results.extend(portion.settle(answers))
        if on_progress is not None:
            on_progress(len(results))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
