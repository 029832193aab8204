"""Celery's consumer, hardened: no message stops a worker, and nothing of a bad one is logged.

Celery writes the body and headers of a message that it can't use to its log, and an exception while
a message is taken apart ends the worker. Whoever reaches the broker can push such messages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from celery.worker import consumer

from worker.direct import DirectWay
from worker.runtime import RUNTIME

BODY_PARTS: Final = 3
"""Arguments, keyword arguments, and what to do next."""

logger = logging.getLogger(__name__)


class MalformedTaskError(ValueError):
    """A message is not a task as this service's clients send them; holds nothing of it."""


def check_frame(headers: Any, body: Any) -> None:
    """Refuse what none of our clients sends and Celery would act on.

    A callback, chain or chord would run a task of the sender's choice; a time limit would stop a
    worker's process.

    Raises:
        MalformedTaskError: the message asks for one of these, or is not of protocol 2.
    """
    if not isinstance(body, list) or len(body) != BODY_PARTS:
        raise MalformedTaskError
    args, kwargs, embed = body
    if not (isinstance(args, list) and isinstance(kwargs, dict) and isinstance(embed, dict)):
        raise MalformedTaskError
    if any(embed.values()) or any(headers.get("timelimit") or ()):
        raise MalformedTaskError


class Consumer(consumer.Consumer):
    """Drops what is not a task of this worker, saying only what kind of fault it was."""

    def create_task_handler(self, *options: Any) -> Callable[[Any], None]:
        """What each message is given to."""
        handle = super().create_task_handler(*options)
        direct = DirectWay(self, RUNTIME)
        lost = (*self.connection_errors, *self.channel_errors)

        def on_message(message: Any) -> None:
            reason: str
            try:
                check_frame(message.headers, message.payload)
                if not direct.take(message):
                    handle(message)
            except (*lost, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever a hostile message sets off
                reason = type(error).__name__
            else:
                return
            self._drop(message, reason)

        return on_message

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, with a sign of life at each try."""
        conn.on_try = self.app.pulse.beat
        return super().ensure_connected(conn)

    def on_unknown_message(self, body: object, message: Any) -> None:
        """The message names no task."""
        self._drop(message, "no task")

    def on_unknown_task(self, body: object, message: Any, exc: Exception) -> None:
        """The message names a task that this worker does not have."""
        self._drop(message, "unknown task")

    def on_invalid_task(self, body: object, message: Any, exc: Exception) -> None:
        """The message's headers or content type are refused."""
        self._drop(message, type(exc).__name__)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """The message's body is not what its content type says."""
        self._drop(message, type(exc).__name__)

    def _drop(self, message: Any, reason: str) -> None:
        logger.warning("a malformed message was dropped: %s", reason)
        # Not at once: its acknowledgement may be waiting already, and fails on a rejected message.
        self.call_soon(self._free_place, message)

    def _free_place(self, message: Any) -> None:
        if not message.acknowledged:
            message.reject_log_error(logger, self.connection_errors)
