"""How often one worker saw each user in the open windows, in memory of a fixed size.

A count-min sketch (Cormode and Muthukrishnan, 2005): a user has one cell in each of two rows, and
the smaller of the two is the count. It is never too low, whatever users a caller makes up, since
nobody is ever pushed out of it; one that is too high only has the worker ask Redis sooner, since
the limit counts as reached only beyond what others can have added (`_added_by_others`). Python's
hash of strings is keyed with randomness at start, so no caller can choose users that share cells.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Final, NamedTuple

from worker.guess_windows import Budget, Limit

WIDTH_BITS: Final = 20
"""Two rows of 2^20 cells of two bytes, for each of two windows: 8 MiB."""

MAX_COUNT: Final = 0xFFFF
"""Where a cell stops counting; it then stays until its window ends."""

_WIDTH: Final = 1 << WIDTH_BITS
_MASK: Final = _WIDTH - 1


class Counted(NamedTuple):
    """What became of a message's guesses.

    Attributes:
        over_minute: the places of those beyond the worker's own allowance for a minute.
        over_day: the same for a day.
        closed: the places of those that are not counted, each with the limit that is reached.
    """

    over_minute: list[int]
    over_day: list[int]
    closed: list[tuple[int, Limit]]


class GuessSketch:
    """The counts of the open minute and day. Not for several threads at once."""

    __slots__ = ("_day", "_day_total", "_day_window", "_minute", "_minute_total", "_minute_window")

    def __init__(self) -> None:
        self._minute_window = self._day_window = -1
        self._minute_total = self._day_total = 0
        self._minute = self._day = array("H")

    def open(self, budget: Budget, now_s: float) -> None:
        """Begin a window with nothing when another one is open than before.

        Args:
            now_s: Unix time in seconds.
        """
        minute, day = budget.minute.window(now_s), budget.day.window(now_s)
        if _is_another(minute, self._minute_window):
            self._minute_window, self._minute, self._minute_total = minute, _empty(), 0
        if _is_another(day, self._day_window):
            self._day_window, self._day, self._day_total = day, _empty(), 0

    def take(self, tenant: str, users: Sequence[str], budget: Budget) -> Counted | None:
        """Count a guess about each user that this worker has not seen as often as the limit.

        Returns:
            None when all are within the worker's own allowance.
        """
        minute, day = self._minute, self._day
        free_minute, free_day = budget.minute.allowance, budget.day.allowance
        counted: Counted | None = None
        for place, user in enumerate(users):
            number = hash((tenant, user))
            first, second = number & _MASK, _WIDTH + (number >> WIDTH_BITS & _MASK)
            m1, m2, d1, d2 = minute[first], minute[second], day[first], day[second]
            is_over_minute = m1 >= free_minute and m2 >= free_minute
            is_over_day = d1 >= free_day and d2 >= free_day
            if is_over_minute or is_over_day:
                counted = counted or Counted([], [], [])
                closed = self._closed(min(m1, m2), min(d1, d2), budget)
                if closed is not None:
                    counted.closed.append((place, closed))
                    continue
                if is_over_minute:
                    counted.over_minute.append(place)
                if is_over_day:
                    counted.over_day.append(place)
            try:
                minute[first], minute[second] = m1 + 1, m2 + 1
                day[first], day[second] = d1 + 1, d2 + 1
            except OverflowError:
                # One of the four was full: the others may have been counted already, and stay so.
                _fill(minute, first, second, m1, m2)
                _fill(day, first, second, d1, d2)
        taken = len(users) - (0 if counted is None else len(counted.closed))
        self._minute_total += taken
        self._day_total += taken
        return counted

    def _closed(self, minute: int, day: int, budget: Budget) -> Limit | None:
        """The limit that is certainly reached, the longer one first."""
        # A full cell tells nothing more: then Redis alone decides.
        if budget.day.guesses + _added_by_others(self._day_total) <= day < MAX_COUNT:
            return budget.day
        if budget.minute.guesses + _added_by_others(self._minute_total) <= minute < MAX_COUNT:
            return budget.minute
        return None

    def give_back(self, tenant: str, users: Sequence[str], windows: tuple[int, int]) -> None:
        """Count one less for each user, in those of these windows that are still open.

        Args:
            windows: the numbers of the minute and the day in which they were taken.
        """
        for user in users:
            number = hash((tenant, user))
            cells = number & _MASK, _WIDTH + (number >> WIDTH_BITS & _MASK)
            if windows[0] == self._minute_window:
                _take_back(self._minute, cells)
                self._minute_total -= 1
            if windows[1] == self._day_window:
                _take_back(self._day, cells)
                self._day_total -= 1

    @property
    def windows(self) -> tuple[int, int]:
        """The numbers of the open minute and day."""
        return self._minute_window, self._day_window


def _is_another(window: int, opened: int) -> bool:
    # Threads may come with times on both sides of a window's end, and clocks are set back a little.
    return window > opened or window < opened - 1


def _empty() -> array[int]:
    return array("H", bytes(2 * 2 * _WIDTH))


def _added_by_others(total: int) -> int:
    """How much other users can have added to a cell.

    A cell gets of all guesses a Poisson distributed share; this is six standard deviations beyond
    the mean.
    """
    mean = max(0, total) / _WIDTH
    return int(mean + 6 * math.sqrt(mean))


def _fill(cells: array[int], first: int, second: int, count_1: int, count_2: int) -> None:
    cells[first] = min(count_1 + 1, MAX_COUNT)
    cells[second] = min(count_2 + 1, MAX_COUNT)


def _take_back(counts: array[int], cells: tuple[int, int]) -> None:
    for cell in cells:
        # A full cell no longer knows how many it counted.
        if 0 < counts[cell] < MAX_COUNT:
            counts[cell] -= 1
