"""The direct way of the fast lane: from a message to its reply without Celery's request object.

Celery builds a request, a trace and a context for each task: a third of what a lone call costs a
worker. The solo pool runs a task within the consumer's loop, where nobody can look at it, so that
is spent on nobody, unless someone watches. A message takes Celery's own way instead when:

- events of tasks are on, as for Flower, or something is connected to a task's signals;
- its id was revoked, or it says when it is to run, or names no inbox;
- it is of another lane, or the worker's pool is another.

`celery inspect stats` counts both ways.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from celery import signals, states
from celery.concurrency import solo
from celery.worker import consumer as celery_consumer
from celery.worker import state

from caas_tasks.names import Lane, Operation
from worker.runtime import Runtime

_WATCHED: Final = (
    *(signals.task_received, signals.task_prerun, signals.task_postrun),
    *(signals.task_success, signals.task_failure),
)
_OPERATIONS: Final = {
    operation.task_name: operation for operation in Operation if operation.lane is Lane.FAST
}
_TIMES: Final = ("eta", "expires")
logger = logging.getLogger(__name__)


class DirectWay:
    """Answers the messages of one consumer that may go the direct way."""

    def __init__(self, consumer: celery_consumer.Consumer, runtime: Runtime) -> None:
        self._is_solo = isinstance(consumer.pool, solo.TaskPool)
        self._consumer = consumer
        self._runtime = runtime
        self._backend: Any = consumer.app.backend

    def take(self, message: Any) -> bool:
        """Answer a message that was checked before; False, and nothing done, if it must not."""
        headers, properties = message.headers, message.properties
        operation = _OPERATIONS.get(headers.get("task"))
        message_id, inbox = headers.get("id"), properties.get("reply_to")
        if (
            operation is None
            or not isinstance(message_id, str)
            or not inbox
            or message.delivery_info.get("routing_key") != Lane.FAST.value
            or any(headers.get(name) for name in _TIMES)
            or message_id in state.revoked
            or self._is_watched()
        ):
            return False
        message.ack_log_error(logger, self._consumer.connection_errors)
        args = message.payload[0]
        sealed = args[0] if len(args) == 1 else None
        state.total_count[operation.task_name] += 1
        state.all_total_count[0] += 1
        reply = self._runtime.service.answer(operation, message_id, sealed)
        self._backend.deliver(inbox, message_id, reply, states.SUCCESS)
        return True

    def _is_watched(self) -> bool:
        return (
            not self._is_solo
            or _sends_task_events(self._consumer.event_dispatcher)
            or bool(self._consumer.on_task_message)
            or any(signal.receivers for signal in _WATCHED)
        )


def _sends_task_events(dispatcher: Any) -> bool:
    """Whether somebody, such as Flower, has asked for events of tasks; heartbeats are not those."""
    if dispatcher is None or not dispatcher.enabled:
        return False
    return not dispatcher.groups or "task" in dispatcher.groups
