"""When each API key was last used, for operators: in Redis, written at most once a minute a key.

| Redis key          | type | holds                                      | lives    |
|--------------------|------|--------------------------------------------|----------|
| `caas:apikey:used` | hash | API key id -> Unix seconds of its last use | for ever |

A thread of its own writes, so no request waits for it; while Redis can't be reached the notes wait.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

import redis

from caas_tasks.names import API_KEYS_USED

INTERVAL_S: Final = 60
"""How old a key's note may be before it is written again, in seconds."""

RETRY_S: Final = 5.0
"""How long the thread waits after Redis could not be reached."""

logger = logging.getLogger(__name__)


class KeyUses:
    """Notes uses; the thread starts with the first one.

    Args:
        client: a redis-py client.
        wait: waits for an event so many seconds, as `threading.Event.wait` does.
    """

    def __init__(
        self,
        client: redis.Redis,
        wait: Callable[[threading.Event, float | None], bool] = threading.Event.wait,
    ) -> None:
        self._redis: Any = client  # redis-py's types cover sync and async at once
        self._wait = wait
        self._noted: dict[str, int] = {}
        self._due: dict[str, int] = {}
        self._lock = threading.Lock()
        self._is_due = threading.Event()
        self._is_stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, key_id: str, now_s: int) -> None:
        """A key was used; returns at once.

        Args:
            now_s: Unix time in seconds.
        """
        if abs(now_s - self._noted.get(key_id, -INTERVAL_S)) < INTERVAL_S:
            return
        with self._lock:
            self._noted[key_id] = self._due[key_id] = now_s
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="caas-key-uses", daemon=True)
                self._thread.start()
        self._is_due.set()

    def close(self) -> None:
        """Write what is due and end the thread."""
        self._is_stopped.set()
        self._is_due.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._wait(self._is_due, None)
            self._is_due.clear()
            is_last = self._is_stopped.is_set()
            if not self._write() and not is_last:
                self._wait(self._is_stopped, RETRY_S)
                self._is_due.set()
            if is_last:
                return

    def _write(self) -> bool:
        with self._lock:
            due, self._due = self._due, {}
        if not due:
            return True
        try:
            self._redis.hset(API_KEYS_USED, mapping=due)
        except Exception as error:  # noqa: BLE001 - the thread must outlive a broker's restart
            logger.warning("last uses of API keys not written: %s", type(error).__name__)
            with self._lock:
                self._due = {**due, **self._due}
            return False
        return True
