"""How far a run is: a bar on a terminal, a line now and then elsewhere. Shows numbers alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Final

from caas_cli.output import warn

LINE_EVERY_S: Final = 10.0
"""Pause between two lines where there is no terminal."""

NOTE_EVERY_S: Final = 10.0
"""Pause between two notes of what is being waited for."""

BAR_EVERY_S: Final = 0.25


class Progress:
    """Is told how far a run is, and says nothing; subclasses say it.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._started = self._said = self._noted = clock()
        self._rows_before = 0
        self._share_before = 0.0
        self._every_s = float("inf")

    def start(self, rows: int, share: float) -> None:
        """The run begins, or goes on from where an earlier one had come to."""
        self._started = self.clock()
        self._rows_before, self._share_before = rows, share

    def advance(self, rows: int, failed: int, share: float) -> None:
        """Rows done and failed so far, and the share of the input that is done, 0 to 1."""
        now = self.clock()
        if now - self._said >= self._every_s:
            self._said = now
            took_s = max(1e-6, now - self._started)
            per_s = (rows - self._rows_before) / took_s
            done = share - self._share_before
            left_s = took_s * (1 - share) / done if done > 0 else None
            self._show(share, shown(rows, failed, share, per_s, left_s))

    def note(self, text: str) -> None:
        """Something that is being waited for; called from other threads too."""
        now = self.clock()
        if now - self._noted >= NOTE_EVERY_S:
            self._noted = now
            self._show_note(text)

    def _show(self, share: float, text: str) -> None:
        """Show how far the run is."""

    def _show_note(self, text: str) -> None:
        """Show what is being waited for."""

    def close(self) -> None:
        """The run ends."""


class LineProgress(Progress):
    """Writes a line to standard error now and then.

    Args:
        every_s: seconds between two lines.
    """

    def __init__(
        self, every_s: float = LINE_EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(clock)
        self._every_s = every_s

    def _show(self, share: float, text: str) -> None:
        warn(f"caas bulk: {text}")

    def _show_note(self, text: str) -> None:
        warn(f"caas bulk: {text}; waiting")


class BarProgress(Progress):
    """A bar on standard error, which is a terminal."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        super().__init__(clock)
        self._every_s = BAR_EVERY_S
        self._bar: Any = Bar(
            BarColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0)
        self._bar.start()

    def _show(self, share: float, text: str) -> None:
        self._bar.update(self._task, completed=share, description=text, refresh=True)

    def _show_note(self, text: str) -> None:
        self._bar.update(self._task, description=f"{text}; waiting", refresh=True)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def progress(every_s: float | None = None) -> Progress:
    """A bar on a terminal, else lines.

    Args:
        every_s: lines, this many seconds apart, whatever standard error is.
    """
    if every_s is None and sys.stderr.isatty():
        return BarProgress()
    return LineProgress(LINE_EVERY_S if every_s is None else every_s)


def shown(rows: int, failed: int, share: float, per_s: float, left_s: float | None) -> str:
    """One line."""
    left = "" if left_s is None else f", {_duration(left_s)} left"
    failures = f", {failed:,} failed" if failed else ""
    return f"{rows:,} rows, {share:.0%}, {per_s:,.0f} rows/s{left}{failures}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
