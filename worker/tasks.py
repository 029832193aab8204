"""The Celery tasks, one an operation: each hands a sealed request to the service for its reply."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task

from caas_tasks.names import Operation
from worker import bulk
from worker.runtime import Runtime


def register(app: Celery, runtime: Runtime) -> None:
    """Add the tasks to an app; they use `runtime`'s service when they run."""
    for operation in Operation:
        _register(app, runtime, operation)


def _register(app: Celery, runtime: Runtime, operation: Operation) -> None:
    # Any arguments are taken: a malformed message is answered like any that can't be opened.
    # Not shared: a shared task would join every other app of the process, with this one's runtime.
    # The result's size is a task's own setting: an event would carry the sealed reply's beginning.
    @app.task(name=operation.task_name, bind=True, typing=False, shared=False, resultrepr_maxsize=0)
    def run(task: Task, *args: Any, **_unknown: Any) -> str:
        bulk.claim(task)
        sealed = args[0] if len(args) == 1 else None
        return runtime.service.answer(operation, task.request.id or "", sealed)
