"""What a worker says of itself when an operator asks all of them: `caas doctor` does.

A command of Celery's remote control, whose answers the broker sees: release, lanes and clock.
"""

from __future__ import annotations

import time
from importlib import metadata
from typing import Any

from celery.worker.control import inspect_command

from caas_tasks.names import ABOUT


def register() -> None:
    """Let workers of this process answer the question."""
    inspect_command(name=ABOUT)(about)


def about(state: Any) -> dict[str, Any]:
    """Release, lanes and the clock in Unix milliseconds."""
    return {
        "version": metadata.version("caas"),
        "lanes": sorted(queue.name for queue in state.consumer.task_consumer.queues),
        "now_ms": time.time_ns() // 1_000_000,
    }
