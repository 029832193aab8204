"""Log lines as text for people, or as one JSON object a line for collectors.

JSON lines hold the time, level, logger and message, and of what code attaches to a record only the
ids, names and numbers listed here: a library's `extra` may hold anything. Of an exception they hold
its type and where it was raised, never its message or a frame's variables, which may hold input.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import Field

from caas_tasks.settings import CaasSettings

TEXT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
ATTACHED: Final = (
    *("request_id", "message_id", "trace_id", "incident", "operation", "code", "items"),
    *("method", "route", "status", "duration_ms"),
)
"""What may be attached to a record and stands in its line."""


class LogSettings(CaasSettings):
    """How log lines are written."""

    log_format: Literal["text", "json"] = Field(
        default="text", description="Log lines: `text` for people, `json` for collectors."
    )


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: vars(record)[name] for name in ATTACHED if name in vars(record)}
        if record.exc_info and record.exc_info[0] is not None:
            frames = traceback.extract_tb(record.exc_info[2])
            line["exception"] = record.exc_info[0].__name__
            line["raised_at"] = [f"{frame.filename}:{frame.lineno}" for frame in frames]
        return json.dumps(line, default=_type_name)


def _type_name(value: object) -> str:
    return type(value).__name__


def configure(settings: LogSettings, level: int | str) -> None:
    """Send everything of this level or above to standard error, in the format that is set."""
    handler = logging.StreamHandler(sys.stderr)
    is_json = settings.log_format == "json"
    handler.setFormatter(JsonFormatter() if is_json else logging.Formatter(TEXT))
    logging.basicConfig(level=level, handlers=[handler])
