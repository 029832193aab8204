"""One worker process's service: opened when the worker starts, before it takes a message."""

from __future__ import annotations

import os
import time
from typing import Final

from caas_tasks.errors import ConfigurationError
from worker import guards
from worker.guards import Guards
from worker.keyring_source import KeyringSource
from worker.operations.means import PasswordRoom
from worker.priority import StandingBack
from worker.service import Service
from worker.settings import WorkerSettings
from worker.watch import Watch


class Runtime:
    """Holds the service of this process; `start` opens the keystore.

    Attributes:
        standing_back: for the threads that hash passwords.
    """

    def __init__(self) -> None:
        self.standing_back = StandingBack(0)
        self._service: Service | None = None
        self._guards: Guards | None = None
        self.watch = Watch()
        self._pid = 0

    def start(self, settings: WorkerSettings) -> None:
        """Open the keystore and make the service.

        Raises:
            KeystoreError: the keystore or the identity can't be read.
            ConfigurationError: see `worker.guards.build`.
        """
        if self._pid == os.getpid():
            return  # Celery's solo pool tells twice that a process begins
        source = KeyringSource(settings.keystore, settings.identity, time.monotonic)
        self._guards = guards.build(settings, source.current().audit_key, _now_ms)
        audit = self._guards.audit
        self._service = Service(
            source.current,
            _now_ms,
            os.urandom,
            reread=source.reread,
            # The audit log first: what it keeps back the others count as refused.
            observers=[
                *([] if audit is None else [audit]),
                *self.watch.observers(source.current),
            ],
            user_names=self._guards.user_names,
            limits=self._guards.limits,
            key_guard=self._guards.key_guard,
            password_room=PasswordRoom(settings.password_memory_kib, len(os.sched_getaffinity(0))),
        )
        self.standing_back = StandingBack(settings.password_nice)
        self._pid = os.getpid()

    def stop(self) -> None:
        """Close what `start` opened in this process; what a parent opened stays the parent's."""
        if self._guards is not None and self._pid == os.getpid():
            self._guards.close()
            self._guards = None

    @property
    def service(self) -> Service:
        """The service.

        Raises:
            ConfigurationError: `start` has not been called.
        """
        if self._service is None:
            raise ConfigurationError("The worker has not opened its keystore.")
        return self._service


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


RUNTIME: Final = Runtime()
