"""The two windows that guesses about one user are counted in (docs/guess-limits.md).

A window is a minute or a day of Unix time, by the worker's clock: it begins for all users at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

MINUTE_S: Final = 60
DAY_S: Final = 86_400

MAX_GUESSES: Final = 10**9
"""The highest limit that can be set."""

ALLOWANCE_SHARE: Final = 12
"""One part in so many of a limit is what a worker gives without asking Redis."""

MAX_ALLOWANCE: Final = 100
"""The most that a worker gives without asking, however high the limit."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What one user may be guessed about in one window.

    Attributes:
        length_s: of the window, in seconds.
        guesses: the limit.
    """

    length_s: int
    guesses: int

    @property
    def allowance(self) -> int:
        """How many guesses each worker gives by its own count."""
        return min(self.guesses // ALLOWANCE_SHARE, MAX_ALLOWANCE)

    @property
    def shared(self) -> int:
        """How many all workers together give by their common count."""
        return self.guesses - self.allowance

    def window(self, now_s: float) -> int:
        """The number of the window that is open at this Unix time."""
        return int(now_s) // self.length_s

    def end_s(self, now_s: float) -> int:
        """The Unix time at which that window closes."""
        return (self.window(now_s) + 1) * self.length_s

    def retry_after_s(self, now_s: float) -> int:
        """Whole seconds until the next window, rounded up."""
        return max(1, math.ceil(self.end_s(now_s) - now_s))


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of one tenant's users: a short and a long window."""

    minute: Limit
    day: Limit

    @classmethod
    def of(cls, per_minute: int, per_day: int) -> Budget:
        """A budget by its two limits."""
        return cls(Limit(MINUTE_S, per_minute), Limit(DAY_S, per_day))

    def fleet_bound(self, workers: int) -> tuple[int, int]:
        """What a fleet of so many worker processes computes at most, in a minute and in a day."""
        minute, day = self.minute, self.day
        return (
            minute.guesses + minute.allowance * (workers - 1),
            day.guesses + day.allowance * (workers - 1),
        )
