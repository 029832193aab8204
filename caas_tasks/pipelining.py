"""Redis commands on one connection, each sent without waiting for the answer to the last.

Waiting costs a lone call two changes of process, on its critical path, for an answer that is almost
always "done". Here the answers are read before the next commands leave. What the server refuses is
raised then, and from there on each command is confirmed until one is accepted: a broker that takes
nothing is noticed at the second command. What is lost with a connection is lost: use it where the
sender sends again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import redis

CHECK_AFTER_S: Final = 1.0
"""A connection that has rested for this long is looked at before it is used: it may be closed."""

Command = tuple[str | bytes | int, ...]


class PipelinedConnection:
    """Thread-safe. Connects when first used, and again after a failure.

    Args:
        acquire: gives a redis-py connection, such as `pool.get_connection`; kept until it fails.
    """

    def __init__(self, acquire: Callable[[], Any]) -> None:
        self._acquire = acquire
        self._lock = threading.Lock()
        self._connection: Any = None
        self._unanswered = 0
        self._sent_at = 0.0
        self._confirms = False

    def send(self, *commands: Command) -> None:
        """Send commands.

        Raises:
            redis.ConnectionError, redis.TimeoutError: they could not be sent.
            redis.ResponseError: the server refused earlier commands, and these were not sent; or
                these, when they were confirmed.
        """
        with self._lock:
            connection = self._ready()
            packed = b"".join(part for each in commands for part in connection.pack_command(*each))
            try:
                # In one write; no health check, whose answer would come among the others.
                connection.send_packed_command([packed], check_health=False)
                self._unanswered = len(commands)
                self._sent_at = time.monotonic()
                if self._confirms:
                    self._read_answers(connection)
            except (redis.ConnectionError, redis.TimeoutError):
                self._forget()
                raise

    def close(self) -> None:
        """Read what is outstanding, so that all has arrived, and disconnect."""
        with self._lock:
            try:
                if self._connection is not None:
                    self._read_answers(self._connection)
            except redis.RedisError:
                pass
            self._forget()

    def _ready(self) -> Any:
        """A connection on which nothing is outstanding."""
        if self._connection is not None:
            try:
                self._read_answers(self._connection)
                if not self._is_stale():
                    return self._connection
            except (redis.ConnectionError, redis.TimeoutError):
                pass
            self._forget()
        self._connection = self._acquire()
        return self._connection

    def _is_stale(self) -> bool:
        rested_s = time.monotonic() - self._sent_at
        # Nothing is outstanding: what can be read is the end of the connection.
        return rested_s > CHECK_AFTER_S and bool(self._connection.can_read(0))

    def _read_answers(self, connection: Any) -> None:
        refusal: redis.ResponseError | None = None
        while self._unanswered:
            self._unanswered -= 1
            try:
                connection.read_response()
            except redis.ResponseError as error:
                refusal = error
            else:
                self._confirms = False
        if refusal is not None:
            self._confirms = True
            raise refusal

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        self._unanswered = 0
        if connection is not None:
            connection.disconnect()
