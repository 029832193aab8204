"""The methods of `AsyncClient` that take many items: an iterable in, results in order out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

from caas_tasks.errors import ServiceError
from producer_client.many import ENCRYPT, HASH_PASSWORD, OPEN, REWRAP, SEAL, WRAP
from producer_client.results import Encrypted, Rewrapped, Wrapped
from producer_client.task_calls import TaskCalls


class AsyncManyCalls(TaskCalls):
    """`encrypt_many` and its like: few messages, several at a time, a failed item in its place."""

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
        return await self._many(ENCRYPT, pairs, on_progress, timeout_s)

    async def wrap_many(
        self,
        pairs: Iterable[tuple[str | UUID, str]],
        on_progress: Callable[[int], None] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> list[Wrapped | ServiceError]:
        """`wrap` for many pairs of UUID and legacy digest, in few messages.

        Args:
            pairs: any iterable; it is read as the work goes on.
            on_progress: called with the number of items done so far, in this thread.
            timeout_s: seconds for the whole; without it each message has the client's own.

        Returns:
            Results in the order of the pairs, a failed item in its place as an error object.

        Raises:
            UnauthorizedError, ForbiddenError: the API key may not do this at all.
        """
        return await self._many(WRAP, pairs, on_progress, timeout_s)

    async def seal_many(
        self,
        triples: Iterable[tuple[str | UUID, bytes, bytes]],
        on_progress: Callable[[int], None] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> list[str | ServiceError]:
        """`seal` for many triples of UUID, plaintext and context, in few messages.

        Args:
            triples: any iterable; it is read as the work goes on.
            on_progress: called with the number of items done so far, in this thread.
            timeout_s: seconds for the whole; without it each message has the client's own.

        Returns:
            Results in the order of the triples, a failed item in its place as an error object.

        Raises:
            UnauthorizedError, ForbiddenError: the API key may not do this at all.
        """
        return await self._many(SEAL, triples, on_progress, timeout_s)

    async def open_many(
        self,
        triples: Iterable[tuple[str | UUID, str, bytes]],
        on_progress: Callable[[int], None] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> list[bytes | ServiceError]:
        """`open` for many triples of UUID, token and context, in few messages.

        Args:
            triples: any iterable; it is read as the work goes on.
            on_progress: called with the number of items done so far, in this thread.
            timeout_s: seconds for the whole; without it each message has the client's own.

        Returns:
            Results in the order of the triples, a failed item in its place as an error object.

        Raises:
            UnauthorizedError, ForbiddenError: the API key may not do this at all.
        """
        return await self._many(OPEN, triples, on_progress, timeout_s)

    async def rewrap_many(
        self,
        triples: Iterable[tuple[str | UUID, str, bytes]],
        on_progress: Callable[[int], None] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> list[Rewrapped | ServiceError]:
        """`rewrap` for many triples of UUID, token and context, in few messages.

        Args:
            triples: any iterable; it is read as the work goes on.
            on_progress: called with the number of items done so far, in this thread.
            timeout_s: seconds for the whole; without it each message has the client's own.

        Returns:
            Results in the order of the triples, a failed item in its place as an error object.

        Raises:
            UnauthorizedError, ForbiddenError: the API key may not do this at all.
        """
        return await self._many(REWRAP, triples, on_progress, timeout_s)

    async def hash_password_many(
        self,
        pairs: Iterable[tuple[str | UUID, str]],
        on_progress: Callable[[int], None] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> list[str | ServiceError]:
        """`hash_password` for many pairs of UUID and password, shared by all password workers.

        Args:
            pairs: any iterable; it is read as the work goes on.
            on_progress: called with the number of items done so far, in this thread.
            timeout_s: seconds for the whole; without it each message has the client's own.

        Returns:
            Results in the order of the pairs, a failed item in its place as an error object.

        Raises:
            UnauthorizedError, ForbiddenError: the API key may not do this at all.
        """
        return await self._many(HASH_PASSWORD, pairs, on_progress, timeout_s)
