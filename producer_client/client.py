"""The client for threads: `Client`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from caas_tasks.errors import ServiceError
from caas_tasks.names import Operation
from producer_client import wire
from producer_client.base import BaseClient
from producer_client.calls import ThreadCall
from producer_client.flights import read_item
from producer_client.jobs import Job, collect
from producer_client.many import MAX_OUTSTANDING_PORTIONS, Portion, encrypt_portions
from producer_client.results import BlindIndex, Encrypted, Verification, Wrapped


class Client(BaseClient):
    """Calls the crypto service and waits. Thread-safe, fork-safe, a context manager.

    One client serves a whole process: calls of many threads travel together. It connects at its
    first call. Every failure is a `ServiceError`; no call waits longer than its `timeout_s`.

        with Client.from_env() as client:
            stored = client.encrypt(user_uuid, "example sensitive data")
            if client.verify(user_uuid, "example sensitive data", stored.encrypted_data):
                ...
    """

    def encrypt(
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
        return wire.read_encrypted(self._one(Operation.ENCRYPT, item, timeout_s))

    def verify(
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
        return wire.read_verification(self._one(Operation.VERIFY, item, timeout_s))

    def candidates(
        self, user_uuid: str | UUID, data: str, *, timeout_s: float | None = None
    ) -> tuple[Encrypted, ...]:
        """The value under every enabled key version, newest first, for `WHERE h IN (…)`.

        Raises:
            ServiceError: one of its subclasses.
        """
        item = wire.encrypt_item(user_uuid, data)
        return wire.read_candidates(self._one(Operation.CANDIDATES, item, timeout_s))

    def blind_index(
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
        return wire.read_blind_indexes(self._one(Operation.BLIND_INDEX, item, timeout_s))

    def wrap(
        self, user_uuid: str | UUID, legacy_digest: str, *, timeout_s: float | None = None
    ) -> Wrapped:
        """A legacy digest made safe without the data.

        Args:
            legacy_digest: printable ASCII, used as it comes.

        Raises:
            ServiceError: one of its subclasses.
        """
        item = wire.wrap_item(user_uuid, legacy_digest)
        return wire.read_wrapped(self._one(Operation.WRAP, item, timeout_s))

    def encrypt_many(
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
        under_way: deque[tuple[Portion, ThreadCall | ServiceError | None]] = deque()
        try:
            for portion in encrypt_portions(pairs):
                under_way.append((portion, self._start(portion, end)))
                if len(under_way) == MAX_OUTSTANDING_PORTIONS:
                    self._finish(*under_way.popleft(), results, on_progress)
            while under_way:
                self._finish(*under_way.popleft(), results, on_progress)
        finally:
            self._abandon(call for _, call in under_way)
        return results

    def _start(self, portion: Portion, end: float | None) -> ThreadCall | ServiceError | None:
        if not portion.items:
            return None
        deadline = self._deadline(None) if end is None else end
        try:
            call = ThreadCall(Operation.ENCRYPT, self._key(None), portion.items, deadline)
            self._dispatcher.submit(call, may_block=True)
        except ServiceError as error:
            return error
        return call

    def _finish(
        self,
        portion: Portion,
        call: ThreadCall | ServiceError | None,
        results: list[Encrypted | ServiceError],
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

    def submit_encrypt_many(self, pairs: Iterable[tuple[str | UUID, str]]) -> Job:
        """Put `encrypt` for many pairs on the bulk lane, to be collected later, within a day.

        Nothing is lost when a worker or the broker dies, if the broker keeps its data.

        Raises:
            InvalidRequestError: no pairs, or one that is not a UUID and a text.
            PayloadTooLargeError: more than a job may have; split it.
            ServiceUnavailableError: the job could not be written down, no part of it.
        """
        handle, messages = self._prepare_job(pairs)
        self._jobs.enter(messages)
        return Job(self._jobs, handle.to_text(), self._timeout_s)

    def collect(
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
        return collect(self._jobs, handle, self._deadline(timeout_s))

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
        deadline = self._deadline(timeout_s)
        key = self._key(api_key)
        calls = [ThreadCall(operation, key, portion, deadline) for portion in wire.portions(items)]
        try:
            for call in calls:
                self._dispatcher.submit(call, may_block=True)
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
        call = ThreadCall(operation, self._key(None), (item,), self._deadline(timeout_s))
        self._dispatcher.submit(call, may_block=True)
        return self._only(self._wait(call))

    def _wait(self, call: ThreadCall) -> list[wire.Answer]:
        if not call.wait(call.deadline - time.monotonic()):
            error = self._dispatcher.give_up(call)
            if error is not None:
                raise error
        return call.result()

    def close(self) -> None:
        """Close connections; calls under way fail. The client can't be used again."""
        self._dispatcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
