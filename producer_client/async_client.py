"""The client for asyncio: `AsyncClient`, the same surface awaited."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

from caas_tasks.errors import ServiceError
from caas_tasks.names import Operation
from producer_client import wire
from producer_client.base import BaseClient
from producer_client.calls import TaskCall
from producer_client.flights import read_item
from producer_client.jobs import AsyncJob, collect_async, in_thread
from producer_client.many import MAX_OUTSTANDING_PORTIONS, Portion, encrypt_portions
from producer_client.results import BlindIndex, Encrypted, Verification, Wrapped

ROOM_POLL_S: Final = 0.01
"""How often a task looks for room in the full queue, in seconds."""


class AsyncClient(BaseClient):
    """Calls the crypto service and awaits the answer. Nothing blocks the event loop.

    One client may serve many tasks, and several loops. A cancelled call frees its place at once.
    Every failure is a `ServiceError`; no call waits longer than its `timeout_s`.

        async with AsyncClient.from_env() as client:
            stored = await client.encrypt(user_uuid, "example sensitive data")
    """

    async def encrypt(
        self, user_uuid: str | UUID, data: str, *, timeout_s: float | None = None
    ) -> Encrypted:
        """The value to store for a user's data.

        Args:
            user_uuid: the user's UUID, 8-4-4-4-12.
            data: the sensitive data, at most 64 KiB of UTF-8.
            timeout_s: seconds to wait, instead of the client's own.

        Raises:
            ServiceError: one of its subclasses.
        """
        item = wire.encrypt_item(user_uuid, data)
        return wire.read_encrypted(await self._one(Operation.ENCRYPT, item, timeout_s))

    async def verify(
        self,
        user_uuid: str | UUID,
        data: str,
        encrypted_data: str,
        key_version: int | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Verification:
        """Whether `data` is what a stored value was made from.

        Args:
            encrypted_data: the stored value: of `encrypt`, of `wrap`, or of the classic service.
            key_version: the version stored beside it; without it every enabled version is tried.

        Raises:
            KeyUnavailableError: the key version is disabled, destroyed or below the minimum.
            ServiceError: another of its subclasses.
        """
        item = wire.verify_item(user_uuid, data, encrypted_data, key_version)
        return wire.read_verification(await self._one(Operation.VERIFY, item, timeout_s))

    async def candidates(
        self, user_uuid: str | UUID, data: str, *, timeout_s: float | None = None
    ) -> tuple[Encrypted, ...]:
        """The value under every enabled key version, newest first, for `WHERE h IN (…)`.

        Raises:
            ServiceError: one of its subclasses.
        """
        item = wire.encrypt_item(user_uuid, data)
        return wire.read_candidates(await self._one(Operation.CANDIDATES, item, timeout_s))

    async def blind_index(
        self, field: str, value: str, *, timeout_s: float | None = None
    ) -> tuple[BlindIndex, ...]:
        """A searchable value under every enabled key version, newest first.

        Args:
            field: the name of the column; equal values in two fields have different indexes.
            value: already normalised as the search needs (case, Unicode form).

        Raises:
            ServiceError: one of its subclasses.
        """
        item = wire.blind_index_item(field, value)
        return wire.read_blind_indexes(await self._one(Operation.BLIND_INDEX, item, timeout_s))

    async def wrap(
        self, user_uuid: str | UUID, legacy_digest: str, *, timeout_s: float | None = None
    ) -> Wrapped:
        """A legacy digest made safe without the data.

        Args:
            legacy_digest: printable ASCII, used as it comes.

        Raises:
            ServiceError: one of its subclasses.
        """
        item = wire.wrap_item(user_uuid, legacy_digest)
        return wire.read_wrapped(await self._one(Operation.WRAP, item, timeout_s))

    async def encrypt_many(
        self,
        pairs: Iterable[tuple[str | UUID, str]],
        on_progress: Callable[[int], None] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> list[Encrypted | ServiceError]:
        """`encrypt` for many pairs of UUID and data, in few messages.

        Args:
            pairs: any iterable; it is read as the work goes on.
            on_progress: called with the number of items done so far, in this thread.
            timeout_s: seconds for the whole; without it each message has the client's own.

        Returns:
            Results in the order of the pairs, a failed item in its place as an error object.

        Raises:
            UnauthorizedError, ForbiddenError: the API key may not do this at all.
        """
        end = None if timeout_s is None else self._deadline(timeout_s)
        results: list[Encrypted | ServiceError] = []
        under_way: deque[tuple[Portion, TaskCall | ServiceError | None]] = deque()
        try:
            for portion in encrypt_portions(pairs):
                under_way.append((portion, await self._start(portion, end)))
                if len(under_way) == MAX_OUTSTANDING_PORTIONS:
                    await self._finish(*under_way.popleft(), results, on_progress)
            while under_way:
                await self._finish(*under_way.popleft(), results, on_progress)
        finally:
            self._abandon(call for _, call in under_way)
        return results

    async def _start(self, portion: Portion, end: float | None) -> TaskCall | ServiceError | None:
        if not portion.items:
            return None
        deadline = self._deadline(None) if end is None else end
        try:
            call = TaskCall(Operation.ENCRYPT, self._key(None), portion.items, deadline)
            await self._submit(call)
        except ServiceError as error:
            return error
        return call

    async def _finish(
        self,
        portion: Portion,
        call: TaskCall | ServiceError | None,
        results: list[Encrypted | ServiceError],
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

    async def submit_encrypt_many(self, pairs: Iterable[tuple[str | UUID, str]]) -> AsyncJob:
        """Put `encrypt` for many pairs on the bulk lane, to be collected later, within a day.

        Nothing is lost when a worker or the broker dies, if the broker keeps its data.

        Raises:
            InvalidRequestError: no pairs, or one that is not a UUID and a text.
            PayloadTooLargeError: more than a job may have; split it.
            ServiceUnavailableError: the job could not be written down, no part of it.
        """
        handle, messages = await in_thread(lambda: self._prepare_job(pairs))
        await in_thread(lambda: self._jobs.enter(messages))
        return AsyncJob(self._jobs, handle.to_text(), self._timeout_s)

    async def collect(
        self, handle: str, *, timeout_s: float | None = None
    ) -> list[Encrypted | ServiceError]:
        """The results of a job, from any process; may be called again while they are kept.

        Args:
            handle: a job's `handle`.

        Returns:
            Results in the order of the pairs, a failed item in its place as an error object.

        Raises:
            RequestTimeoutError: the job is not done yet.
            InvalidRequestError: not a handle, or the job was cancelled or is over a day old.
            ServiceError: what the job as a whole was refused with.
        """
        return await collect_async(self._jobs, handle, self._deadline(timeout_s))

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
        deadline = self._deadline(timeout_s)
        key = self._key(api_key)
        calls = [TaskCall(operation, key, portion, deadline) for portion in wire.portions(items)]
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
        call = TaskCall(operation, self._key(None), (item,), self._deadline(timeout_s))
        await self._submit(call)
        return self._only(await self._wait(call))

    async def _submit(self, call: TaskCall) -> None:
        while not self._dispatcher.submit(call, may_block=False):
            if time.monotonic() >= call.deadline:
                raise self._dispatcher.late()
            await asyncio.sleep(ROOM_POLL_S)

    async def _wait(self, call: TaskCall) -> list[wire.Answer]:
        in_time = False
        try:
            in_time = await call.wait(call.deadline - time.monotonic())
        finally:
            # Also when the task is cancelled: the call's place is free for others.
            error = None if in_time else self._dispatcher.give_up(call)
        if error is not None:
            raise error
        return call.result()

    async def close(self) -> None:
        """Close connections; calls under way fail. The client can't be used again."""
        await in_thread(self._dispatcher.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
