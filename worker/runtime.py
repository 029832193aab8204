"""One worker process's service: opened when the worker starts, before it takes a message."""

from __future__ import annotations

import os
import time
from typing import Final

from caas_tasks.errors import ConfigurationError
from worker.keyring_source import KeyringSource
from worker.service import Service
from worker.settings import WorkerSettings


class Runtime:
    """Holds the service of this process; `start` opens the keystore."""

    def __init__(self) -> None:
        self._service: Service | None = None

    def start(self, settings: WorkerSettings) -> None:
        """Open the keystore and make the service.

        Raises:
            KeystoreError: the keystore or the identity can't be read.
        """
        source = KeyringSource(settings.keystore, settings.identity, time.monotonic)
        self._service = Service(source.current, _now_ms, os.urandom, reread=source.reread)

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
