"""Redis commands on one connection, each sent without waiting for the answer to the last.

Waiting costs a lone call two changes of process, on its critical path, for an answer that is almost
always "done". Here the answers are read once the next commands have left, when they lie ready and
nobody waits. What the server refuses is raised then, and from there on each command is confirmed
until one is accepted: a broker that takes nothing is noticed at the second command. What is lost
with a connection is lost, and what was refused or cut may be sent twice: use it where the sender
sends again and a second time does no harm.
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
            redis.ResponseError: the server refused earlier commands, and may refuse these; or
                these, when they were confirmed.
        """
        with self._lock:
            if self._connection is not None and not self._is_stale():
                try:
                    self._exchange(commands)
                except (redis.ConnectionError, redis.TimeoutError):
                    self._forget()  # it may have been gone before: once more, on a new one
                else:
                    return
            self._forget()
            self._connection = self._acquire()
            try:
                self._exchange(commands)
            except (redis.ConnectionError, redis.TimeoutError):
                self._forget()
                raise

    def close(self) -> None:
        """Read what is outstanding, so that all has arrived, and disconnect."""
        with self._lock:
            try:
                if self._connection is not None:
                    self._read_answers(self._unanswered)
            except redis.RedisError:
                pass
            self._forget()

    def _exchange(self, commands: tuple[Command, ...]) -> None:
        """Send commands, and read the answers to those before."""
        connection = self._connection
        packed = b"".join(part for each in commands for part in connection.pack_command(*each))
        # In one write; no health check, whose answer would come among the others.
        connection.send_packed_command([packed], check_health=False)
        self._sent_at = time.monotonic()
        earlier, self._unanswered = self._unanswered, self._unanswered + len(commands)
        refusal = self._read_answers(earlier)
        if self._confirms:  # then only these commands' own answers count
            refusal = self._read_answers(len(commands))
        if refusal is not None:
            self._confirms = True
            raise refusal

    def _is_stale(self) -> bool:
        if time.monotonic() - self._sent_at <= CHECK_AFTER_S:
            return False
        try:
            if self._read_answers(self._unanswered) is not None:
                self._confirms = True
            # Nothing is outstanding now: what can be read is the end of the connection.
            return bool(self._connection.can_read(0))
        except (redis.ConnectionError, redis.TimeoutError):
            return True

    def _read_answers(self, count: int) -> redis.ResponseError | None:
        """The next answers; the last refusal among them."""
        refusal: redis.ResponseError | None = None
        for _ in range(count):
            self._unanswered -= 1
            try:
                self._connection.read_response()
            except redis.ResponseError as error:
                refusal = error
            else:
                self._confirms = False
        return refusal

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        self._unanswered = 0
        if connection is not None:
            connection.disconnect()
