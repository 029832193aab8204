"""A fault of the worker itself: an id for the caller, and the log line that has it too.

What is logged of an exception is its type and where it was raised, never its message, which may
hold input.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

from caas_tasks.errors import InternalError
from caas_tasks.names import Operation

_ID_BYTES = 8

logger = logging.getLogger(__name__)


def report(
    operation: Operation, error: Exception, random_bytes: Callable[[int], bytes]
) -> InternalError:
    """Log an exception that nobody expected; what its caller is told."""
    incident = random_bytes(_ID_BYTES).hex()
    logger.error(
        "internal error %s in %s: %s at %s",
        incident,
        operation.task_name,
        type(error).__name__,
        _where(error),
        extra={"incident": incident, "operation": operation.value},
    )
    return InternalError(f"Internal error {incident}.")


def _where(error: BaseException) -> str:
    """The frames an exception went through, innermost last, without any value."""
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{frame.filename}:{frame.lineno}({frame.name})" for frame in frames)
