"""Progress: rates, time left, and when something is said."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from caas_cli.bulk import progress as module
from caas_cli.bulk.progress import BarProgress, LineProgress, progress, shown


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def test_a_line_has_rate_and_time_left(time: Time, capsys: Any) -> None:
    """Half of it in a hundred seconds: a hundred are left."""
    lines = LineProgress(10, time)
    lines.start(0, 0.0)
    time.now = 100
    lines.advance(5_000, 2, 0.5)
    assert capsys.readouterr().err == (
        "caas bulk: 5,000 rows, 50%, 50 rows/s, 0:01:40 left, 2 failed\n"
    )


def test_lines_come_now_and_then(time: Time, capsys: Any) -> None:
    """Not for every chunk."""
    lines = LineProgress(10, time)
    for time.now in range(35):
        lines.advance(1, 0, 0.1)
    assert capsys.readouterr().err.count("\n") == 3


def test_what_was_done_before_is_no_rate_of_this_run(time: Time, capsys: Any) -> None:
    """A resumed run has its own."""
    lines = LineProgress(0, time)
    lines.start(1_000, 0.5)
    time.now = 10
    lines.advance(1_100, 0, 0.75)
    assert "1,100 rows, 75%, 10 rows/s, 0:00:10 left" in capsys.readouterr().err


def test_waiting_is_told_of(time: Time, capsys: Any) -> None:
    """Once in a while too."""
    lines = LineProgress(10, time)
    for time.now in (1, 11, 12):
        lines.note("the service does not answer")
    assert capsys.readouterr().err == "caas bulk: the service does not answer; waiting\n"


def test_hours_are_shown() -> None:
    """A long run's time left."""
    assert shown(1, 0, 0.0, 1.0, 7_384) == "1 rows, 0%, 1 rows/s, 2:03:04 left"


def test_a_terminal_gets_a_bar(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same text beside it, and it goes away."""
    out = io.StringIO()
    made = Console(file=out, force_terminal=True, width=100)
    monkeypatch.setattr("rich.console.Console", lambda **_options: made)
    bar = BarProgress(time)
    time.now = 1
    bar.advance(500, 0, 0.25)
    time.now = 20
    bar.note("the service does not answer")
    bar.close()
    assert "500 rows, 25%" in out.getvalue()
    assert "the service does not answer; waiting" in out.getvalue()


@pytest.mark.parametrize(("is_terminal", "kind"), [(True, "BarProgress"), (False, "LineProgress")])
def test_what_standard_error_is_decides(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, kind: str
) -> None:
    """Unless lines are asked for."""
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: is_terminal)
    made = progress()
    made.close()
    assert (type(made).__name__, type(progress(5)).__name__) == (kind, "LineProgress")
