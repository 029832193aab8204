"""Windows, allowances and the bound that follows from them."""

from __future__ import annotations

import pytest

from worker.guess_windows import MAX_ALLOWANCE, Budget, Limit

DEFAULT = Budget.of(60, 1_000)


@pytest.mark.parametrize(
    ("guesses", "allowance"), [(1, 0), (11, 0), (12, 1), (60, 5), (1_000, 83), (10**9, 100)]
)
def test_allowance_is_a_twelfth(guesses: int, allowance: int) -> None:
    """A worker gives a twelfth of a limit by itself, rounded down, and never more than a bound."""
    limit = Limit(60, guesses)
    assert limit.allowance == allowance <= MAX_ALLOWANCE
    assert limit.shared + limit.allowance == guesses


def test_windows_follow_the_clock() -> None:
    """A window is a minute of Unix time: it ends for all users at once."""
    minute = DEFAULT.minute
    assert (minute.window(119.999), minute.window(120)) == (1, 2)
    assert minute.end_s(61) == 120


@pytest.mark.parametrize(("now_s", "seconds"), [(60, 60), (60.001, 60), (118.5, 2), (119.999, 1)])
def test_retry_after_is_whole_seconds_rounded_up(now_s: float, seconds: int) -> None:
    """Who waits as long as it is told comes in the next window."""
    assert DEFAULT.minute.retry_after_s(now_s) == seconds
    assert DEFAULT.minute.window(now_s + seconds) == 2


def test_bound_of_a_fleet() -> None:
    """One worker computes the limit exactly; each further one its allowance more."""
    assert DEFAULT.fleet_bound(1) == (60, 1_000)
    assert DEFAULT.fleet_bound(2) == (65, 1_083)
    assert DEFAULT.fleet_bound(13) == (120, 1_996)
