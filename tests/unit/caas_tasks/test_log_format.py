"""JSON log lines hold ids, names and numbers, and no value that came in."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from caas_tasks import log_format

SECRET = "canary-4cf1"


def line(message: str = "text", *args: object, extra: Any = None, exc_info: Any = None) -> Any:
    logger = logging.getLogger("a.part")
    record = logger.makeRecord("a.part", 30, "f", 1, message, args, exc_info, extra=extra)
    return json.loads(log_format.JsonFormatter().format(record))


def test_a_line_is_one_object() -> None:
    """Time, level, logger and message, whatever stands in the message."""
    found = line('two\n"lines" %d', 2)
    assert found["message"] == 'two\n"lines" 2'
    assert (found["level"], found["logger"]) == ("WARNING", "a.part")
    assert found["time"].endswith("+00:00")


def test_ids_that_are_attached_stand_in_it() -> None:
    """A request's id, and other names and numbers of the list, are fields of their own."""
    assert line(extra={"request_id": "7f", "status": 503})["status"] == 503


def test_nothing_else_that_is_attached_stands_in_it() -> None:
    """A library's `extra` may hold a task's arguments."""
    assert SECRET not in json.dumps(line(extra={"data": {"args": SECRET}}))


def test_an_exception_is_its_type_and_place() -> None:
    """Neither its message nor a frame's variables are written."""
    try:
        raise ValueError(SECRET)
    except ValueError:
        found = line(exc_info=sys.exc_info())
    assert found["exception"] == "ValueError"
    assert "test_log_format.py:" in found["raised_at"][0]
    assert SECRET not in json.dumps(found)


@pytest.mark.parametrize(("name", "is_json"), [("json", True), ("text", False)])
def test_the_setting_says_which(name: Any, is_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`CAAS_LOG_FORMAT` chooses."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr(logging, "basicConfig", lambda **options: seen.update(options))
    log_format.configure(log_format.LogSettings(log_format=name), "INFO")
    (handler,) = seen["handlers"]
    assert isinstance(handler.formatter, log_format.JsonFormatter) is is_json
