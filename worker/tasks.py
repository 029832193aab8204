"""The Celery tasks, one an operation: each hands a sealed request to the service for its reply."""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery, Task

from caas_tasks.envelope import UNREADABLE_REPLY
from caas_tasks.names import Lane, Operation
from worker import bulk
from worker.runtime import Runtime

logger = logging.getLogger(__name__)


def register(app: Celery, runtime: Runtime) -> None:
    """Add the tasks to an app; they use `runtime`'s service when they run."""
    for operation in Operation:
        _register(app, runtime, operation)


def _register(app: Celery, runtime: Runtime, operation: Operation) -> None:
    is_password = operation.lane is Lane.PASSWORD

    # Any arguments are taken: a malformed message is answered like any that can't be opened.
    # Not shared: a shared task would join every other app of the process, with this one's runtime.
    # The result's size is a task's own setting: an event would carry the sealed reply's beginning.
    # Late acknowledgement, which the broker sees nothing of: a password worker takes no more
    # messages than it has threads, and leaves the rest to others.
    @app.task(
        name=operation.task_name,
        bind=True,
        typing=False,
        shared=False,
        resultrepr_maxsize=0,
        acks_late=is_password,
    )
    def run(task: Task, *args: Any, **_unknown: Any) -> str:
        bulk.claim(task)
        if is_password and Lane.PASSWORD.value not in app.amqp.queues.consume_from:
            # Sent by another lane, it would hold up what is quick. No client of ours does that.
            logger.warning("a password operation came by another lane and was not run")
            return UNREADABLE_REPLY
        if is_password:
            runtime.standing_back.enter()
        sealed = args[0] if len(args) == 1 else None
        return runtime.service.answer(operation, task.request.id or "", sealed)
