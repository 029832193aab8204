"""For users' own tests: the whole service in memory, with the real operations and no broker.

    service = InMemoryService()
    with service.client() as client:
        stored = client.encrypt(user_uuid, "example sensitive data")

Requests are sealed, authenticated and answered by the code that workers run, so a test sees the
values, the errors and the bounds on requests of the real service. What workers count together, the
guesses about a user and the requests of an API key, is not limited. Needs what a worker needs:
install `caas[worker]`. This is the one module of the client that imports `worker`.
"""

from __future__ import annotations

import os
import queue
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.names import SCOPES
from producer_client.async_client import AsyncClient
from producer_client.client import Client
from producer_client.transport import IncomingReply, OutgoingMessage
from worker.keyring import Keyring
from worker.keystore import change, lifecycle
from worker.keystore.document import Keystore, Profile
from worker.service import Service

_NO_RECIPIENT: Final = "memory"  # this keystore is never written


class InMemoryService:
    """A service of one process: keystore, worker and queue in memory.

    Args:
        tenant: the tenant of `api_key`.
        profile: `hardened` or `classic`.
        salt_pool: the classic profile's salts.
        password_profile: what password hashes cost; the cheapest by default, since tests hash many.

    Attributes:
        api_key: a key with every scope.
        server_key: the service's public key, as text.
        jobs: the bulk lane's jobs, done as soon as they are submitted.
    """

    def __init__(
        self,
        *,
        tenant: str = "test",
        profile: str = "hardened",
        salt_pool: Sequence[str] | None = None,
        password_profile: str = "cheapest",  # noqa: S107 - a name, not a secret
    ) -> None:
        self._tenant = tenant
        self._password_profile = password_profile
        self._replace(
            change.new_keystore(
                recipients=[_NO_RECIPIENT],
                tenant=tenant,
                profile=Profile(profile),
                salt_pool=salt_pool,
                now_s=_now_s(),
                random=secrets,
            )
        )
        self._service = Service(lambda: self._keyring, lambda: _now_s() * 1_000, os.urandom)
        self._is_down = False
        self._is_silent = False
        self.jobs = _MemoryJobs(self)
        self.server_key = change.public_key(self._keystore).to_text()
        self.api_key = self.add_api_key()

    def __repr__(self) -> str:
        return f"InMemoryService(tenant={self._tenant!r})"

    def client(self, *, api_key: str | None = None, timeout_s: float = 5.0) -> Client:
        """A client of this service; close it as any other."""
        return Client(**self._arguments(api_key, timeout_s))

    def async_client(self, *, api_key: str | None = None, timeout_s: float = 5.0) -> AsyncClient:
        """An asyncio client of this service; close it as any other."""
        return AsyncClient(**self._arguments(api_key, timeout_s))

    def _arguments(self, api_key: str | None, timeout_s: float) -> dict[str, Any]:
        return {
            "api_key": api_key or self.api_key,
            "server_key": self.server_key,
            "timeout_s": timeout_s,
            "password_timeout_s": timeout_s,
            "transport": _MemoryTransport(self),
        }

    def add_api_key(
        self,
        *,
        scopes: Iterable[str] = SCOPES,
        tenant: str | None = None,
        expires_at: int | None = None,
    ) -> str:
        """One more API key.

        Args:
            expires_at: Unix seconds.
        """
        new = change.add_api_key(
            self._keystore,
            tenant=tenant or self._tenant,
            scopes=scopes,
            expires_at=expires_at,
            now_s=_now_s(),
            random=secrets,
        )
        self._replace(new.keystore)
        return new.text

    def revoke_api_key(self, api_key: str) -> None:
        """Revoke a key, at once."""
        key_id = api_key.split("_")[1]
        self._replace(change.revoke_api_key(self._keystore, key_id, _now_s()))

    def rotate_key(self) -> int:
        """Add a hardened key version and let it make the new values; its number."""
        added = lifecycle.add_version(
            self._keystore,
            profile=Profile.HARDENED,
            salt_pool=None,
            cipher_pool=None,
            allow_weak=False,
            now_s=_now_s(),
            random=secrets,
        )
        version = max(record.version for record in added.key_versions)
        self._replace(lifecycle.promote(added, version))
        return version

    def disable_key(self, version: int) -> None:
        """Answer a key version's values with KeyUnavailableError; the primary can't be disabled.

        Raises:
            ConfigurationError: the primary, or not an enabled version.
        """
        self._replace(lifecycle.disable(self._keystore, version))

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Within it the broker can't be reached: calls fail with ServiceUnavailableError."""
        self._is_down = True
        try:
            yield
        finally:
            self._is_down = False

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Within it no worker answers: calls fail with RequestTimeoutError."""
        self._is_silent = True
        try:
            yield
        finally:
            self._is_silent = False

    def _replace(self, keystore: Keystore) -> None:
        for tenant in keystore.tenants:  # one may be new
            keystore = change.set_password_profile(keystore, tenant.name, self._password_profile)
        self._keystore = keystore
        self._keyring = Keyring(keystore)

    def take(self, message: OutgoingMessage) -> IncomingReply | None:
        """Answer a message as a worker does; None within `silence`.

        Raises:
            ServiceUnavailableError: within `outage`.
        """
        if self._is_down:
            raise ServiceUnavailableError
        if self._is_silent:
            return None
        sealed = self._service.answer(message.operation, message.message_id, message.sealed)
        return IncomingReply(message.message_id, sealed)


class _MemoryJobs:
    """Does jobs when they are submitted, or when they are asked for after a `silence`."""

    def __init__(self, service: InMemoryService) -> None:
        self._service = service
        self._open: dict[str, OutgoingMessage] = {}
        self._results: dict[str, str] = {}

    def enter(self, messages: Sequence[OutgoingMessage]) -> None:
        self._open.update({message.message_id: message for message in messages})
        self._work()

    def results(self, job_ids: Sequence[str]) -> list[str | None]:
        self._work()
        return [self._results.get(job_id) for job_id in job_ids]

    def count_results(self, job_ids: Sequence[str]) -> int:
        return sum(result is not None for result in self.results(job_ids))

    def count_open(self, job_ids: Sequence[str]) -> int:
        return sum(job_id in self._open for job_id in job_ids)

    def cancel(self, job_ids: Sequence[str]) -> None:
        for job_id in job_ids:
            self._open.pop(job_id, None)
            self._results.pop(job_id, None)

    def close(self) -> None:
        """There is nothing to close."""

    def _work(self) -> None:
        for job_id, message in list(self._open.items()):
            reply = self._service.take(message)
            if reply is not None:
                self._results[job_id] = reply.sealed
                self._open.pop(job_id, None)


class _MemoryTransport:
    """Hands messages to the service in the sender's thread."""

    def __init__(self, service: InMemoryService) -> None:
        self._service = service
        self.jobs = service.jobs
        self.reset_after_fork()

    def twin(self) -> _MemoryTransport:
        return _MemoryTransport(self._service)

    def send(self, message: OutgoingMessage) -> None:
        reply = self._service.take(message)
        if reply is not None:
            self._replies.put(reply)

    def receive(self, timeout_s: float) -> list[IncomingReply]:
        try:
            reply = self._replies.get(timeout=timeout_s)
        except queue.Empty:
            return []
        return [] if reply is None else [reply]

    def interrupt(self) -> None:
        self._replies.put(None)

    def close(self) -> None:
        """There is nothing to close."""

    def reset_after_fork(self) -> None:
        self._replies: queue.SimpleQueue[IncomingReply | None] = queue.SimpleQueue()


def _now_s() -> int:
    return int(time.time())
