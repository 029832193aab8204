"""Bulk jobs: submit now, collect later, from any process (docs/spec.md, section 9)."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from caas_tasks.envelope import (
    NONCE_BYTES,
    SECRET_BYTES,
    UNREADABLE_REPLY,
    ClientSession,
    ServicePublicKey,
    open_reply_with,
    reply_key,
    seal_request,
)
from caas_tasks.errors import (
    InvalidRequestError,
    PayloadTooLargeError,
    RequestTimeoutError,
    ServiceError,
    UnreadableMessageError,
)
from caas_tasks.job_ledger import JOB_TTL_S
from caas_tasks.message_id import new_id
from caas_tasks.messages import encode_request
from caas_tasks.names import Lane, Operation
from producer_client import wire
from producer_client.flights import read_answers
from producer_client.job_handle import MAX_JOB_MESSAGES, JobHandle, message_id
from producer_client.many import ENCRYPT, portions_of
from producer_client.results import Encrypted
from producer_client.settings import checked_timeout_s
from producer_client.transport import JobStore, OutgoingMessage

_POLL_S: Final = (0.02, 0.05, 0.1, 0.2, 0.5)

Results = list[Encrypted | ServiceError]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is.

    Attributes:
        done: messages that have been answered.
        total: messages of the job; each holds up to 500 items.
    """

    done: int
    total: int


def prepare(
    server_key: ServicePublicKey, api_key: str, pairs: Iterable[tuple[str | UUID, str]]
) -> tuple[JobHandle, list[OutgoingMessage]]:
    """Seal a job's messages under a session of its own.

    Raises:
        InvalidRequestError: no pairs, or one that is not a UUID and a text.
        PayloadTooLargeError: more than `MAX_JOB_MESSAGES` messages.
    """
    secret = os.urandom(SECRET_BYTES)
    session = ClientSession.start(server_key, secret)
    now_ms = time.time_ns() // 1_000_000
    job_id = new_id(now_ms, os.urandom)
    expiry_ms = now_ms + JOB_TTL_S * 1_000
    messages = []
    for number, items in enumerate(_portions(pairs)):
        if number == MAX_JOB_MESSAGES:
            raise PayloadTooLargeError(f"A job has at most {MAX_JOB_MESSAGES} messages.")
        name = message_id(job_id, number)
        sealed = seal_request(
            session,
            Operation.ENCRYPT.task_name,
            name,
            expiry_ms,
            encode_request(api_key, items),
            os.urandom(NONCE_BYTES),
        )
        messages.append(OutgoingMessage(Operation.ENCRYPT, Lane.BULK, name, sealed))
    if not messages:
        raise InvalidRequestError("A job needs at least one pair.")
    return JobHandle(job_id, len(messages), reply_key(secret)), messages


def _portions(pairs: Iterable[tuple[str | UUID, str]]) -> Iterator[list[wire.WireItem]]:
    for portion in portions_of(ENCRYPT, pairs):
        refused = portion.first_error()
        if refused is not None:
            raise refused
        yield portion.items


def read(handle: JobHandle, sealed_results: Sequence[str]) -> Results:
    """A job's results in the order of its pairs.

    Raises:
        UnreadableMessageError: a result is not authentic, or the worker could not open the job.
        ServiceError: what a message of the job was refused with.
    """
    cipher = handle.cipher()
    results: Results = []
    for name, sealed in zip(handle.message_ids(), sealed_results, strict=True):
        if sealed == UNREADABLE_REPLY:
            raise UnreadableMessageError
        payload = open_reply_with(cipher, Operation.ENCRYPT.task_name, name, sealed)
        answers = read_answers(payload)
        if isinstance(answers, ServiceError):
            raise answers
        results.extend(map(ENCRYPT.result_of, answers))
    return results


class _Poll:
    """One look after another at a job's results, until all are there."""

    def __init__(self, store: JobStore, handle: JobHandle, deadline: float) -> None:
        self._store = store
        self._handle = handle
        self._ids = handle.message_ids()
        self._deadline = deadline
        self._looks = 0

    def look(self) -> Results | None:
        """The results, or None while some are missing.

        Raises:
            InvalidRequestError: the job is cancelled, or older than results are kept.
            RequestTimeoutError: the deadline has passed.
        """
        found = self._store.results(self._ids)
        complete = [sealed for sealed in found if sealed is not None]
        if len(complete) == len(self._ids):
            return read(self._handle, complete)
        missing = [name for name, sealed in zip(self._ids, found, strict=True) if sealed is None]
        # A result is stored and its job struck out in one step: look once more before giving up.
        if not self._store.count_open(missing) and self._store.count_results(missing) == 0:
            raise InvalidRequestError("The job is not known: cancelled, or over a day old.")
        if not time.monotonic() < self._deadline:  # so that NaN is no endless wait
            raise RequestTimeoutError("The job is not done yet.")
        return None

    def pause_s(self) -> float:
        """How long to wait before the next look."""
        pause = _POLL_S[min(self._looks, len(_POLL_S) - 1)]
        self._looks += 1
        return max(0.0, min(pause, self._deadline - time.monotonic()))


def collect(store: JobStore, handle_text: str, deadline: float) -> Results:
    """Wait for a job's results; see `Client.collect`."""
    poll = _Poll(store, JobHandle.from_text(handle_text), deadline)
    while (results := poll.look()) is None:
        time.sleep(poll.pause_s())
    return results


async def collect_async(store: JobStore, handle_text: str, deadline: float) -> Results:
    """Wait for a job's results; see `AsyncClient.collect`."""
    poll = _Poll(store, JobHandle.from_text(handle_text), deadline)
    while (results := await in_thread(poll.look)) is None:  # noqa: ASYNC110 - nothing to await
        await asyncio.sleep(poll.pause_s())
    return results


def progress(store: JobStore, handle_text: str) -> JobProgress:
    """How far a job is."""
    handle = JobHandle.from_text(handle_text)
    return JobProgress(store.count_results(handle.message_ids()), handle.messages)


def cancel(store: JobStore, handle_text: str) -> None:
    """Take a job back."""
    store.cancel(JobHandle.from_text(handle_text).message_ids())


async def in_thread(function: Callable[[], T]) -> T:
    """Run a blocking function beside the loop."""
    return await asyncio.get_running_loop().run_in_executor(None, function)


class Job:
    """A submitted job.

    Attributes:
        handle: a string to store; `Client.collect(handle)` takes the results from any process. It
            opens the results: keep it as you keep them.
    """

    def __init__(self, store: JobStore, handle: str, timeout_s: float) -> None:
        self.handle = handle
        self._store = store
        self._timeout_s = timeout_s

    def progress(self) -> JobProgress:
        """How far the job is.

        Raises:
            ServiceUnavailableError: the broker can't be reached.
        """
        return progress(self._store, self.handle)

    def collect(self, *, timeout_s: float | None = None) -> Results:
        """The results, as `Client.collect`."""
        wait_s = self._timeout_s if timeout_s is None else checked_timeout_s(timeout_s)
        return collect(self._store, self.handle, time.monotonic() + wait_s)

    def cancel(self) -> None:
        """Take the job back and drop its results.

        Raises:
            ServiceUnavailableError: the broker can't be reached.
        """
        cancel(self._store, self.handle)


class AsyncJob:
    """A submitted job; the same as `Job`, awaited."""

    def __init__(self, store: JobStore, handle: str, timeout_s: float) -> None:
        self.handle = handle
        self._store = store
        self._timeout_s = timeout_s

    async def progress(self) -> JobProgress:
        """How far the job is."""
        return await in_thread(lambda: progress(self._store, self.handle))

    async def collect(self, *, timeout_s: float | None = None) -> Results:
        """The results, as `AsyncClient.collect`."""
        wait_s = self._timeout_s if timeout_s is None else checked_timeout_s(timeout_s)
        return await collect_async(self._store, self.handle, time.monotonic() + wait_s)

    async def cancel(self) -> None:
        """Take the job back and drop its results."""
        await in_thread(lambda: cancel(self._store, self.handle))
