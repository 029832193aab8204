"""Counts of fixed size that are never too low."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import guess_sketch
from worker.guess_sketch import MAX_COUNT, Counted, GuessSketch
from worker.guess_windows import Budget

NOW_S = 1_000_000 * 60.0
BUDGET = Budget.of(24, 1_000)  # two free guesses a minute, 83 a day


@pytest.fixture
def sketch() -> GuessSketch:
    made = GuessSketch()
    made.open(BUDGET, NOW_S)
    return made


def take(sketch: GuessSketch, user: str, times: int, budget: Budget = BUDGET) -> tuple[int, int]:
    """Guess about one user in one message: how many went beyond the allowance, how many not."""
    counted = sketch.take("shop", [user] * times, budget)
    if counted is None:
        return 0, 0
    return len({*counted.over_minute, *counted.over_day}), len(counted.closed)


def test_first_guesses_are_free(sketch: GuessSketch) -> None:
    """Up to the allowance nobody is asked, in one message as in several."""
    assert take(sketch, "a", 1) == (0, 0)
    assert take(sketch, "a", 3) == (2, 0)
    assert take(sketch, "a", 1) == (1, 0)
    assert take(sketch, "b", 2) == (0, 0)


def test_places_are_those_beyond_the_allowance(sketch: GuessSketch) -> None:
    """The first guesses of a message are the free ones."""
    counted = sketch.take("shop", ["a", "b", "a", "a", "b", "a"], BUDGET)
    assert counted == ([3, 5], [], [])


def test_tenants_are_counted_apart(sketch: GuessSketch) -> None:
    """A user of one tenant is nobody to another."""
    take(sketch, "a", 24)
    assert sketch.take("clinic", ["a"], BUDGET) is None


def test_no_more_than_the_limit(sketch: GuessSketch) -> None:
    """What this worker has counted up to the limit is not counted further, nor asked about."""
    assert take(sketch, "a", 30) == (22, 6)
    (place, closed) = sketch.take("shop", ["a"], BUDGET).closed[0]
    assert (place, closed) == (0, BUDGET.minute)


def test_day_is_told_before_the_minute(sketch: GuessSketch) -> None:
    """When both limits are reached the longer one is what to wait for."""
    budget = Budget.of(24, 24)
    take(sketch, "a", 24, budget)
    assert sketch.take("shop", ["a"], budget).closed == [(0, budget.day)]


def test_minute_ends_and_the_day_goes_on(sketch: GuessSketch) -> None:
    """A new minute begins with nothing, the day keeps its count."""
    for minute in range(45):
        sketch.open(BUDGET, NOW_S + 60 * minute)
        assert take(sketch, "a", 2) == (
            (0, 0) if minute <= 40 else (2, 0) if minute > 41 else (1, 0)
        )


def test_a_late_thread_reopens_no_window(sketch: GuessSketch) -> None:
    """A thread that looked at the clock before the window's end finds the new one open."""
    sketch.open(BUDGET, NOW_S + 60)
    take(sketch, "a", 2)
    sketch.open(BUDGET, NOW_S + 59.9)
    assert take(sketch, "a", 1) == (1, 0)


def test_clock_that_is_set_back_far_begins_anew(sketch: GuessSketch) -> None:
    """A clock that was hours ahead does not hold a window open for hours."""
    take(sketch, "a", 2)
    sketch.open(BUDGET, NOW_S - 3 * 86_400)
    assert take(sketch, "a", 1) == (0, 0)


def test_given_back_guess_is_free_again(sketch: GuessSketch) -> None:
    """A guess that was right leaves room for another."""
    take(sketch, "a", 2)
    sketch.give_back("shop", ["a"], sketch.windows)
    assert take(sketch, "a", 2) == (1, 0)


def test_giving_back_counts_in_its_own_window(sketch: GuessSketch) -> None:
    """A guess of the last minute is given back to the day alone."""
    windows = sketch.windows
    take(sketch, "a", 2)
    sketch.open(BUDGET, NOW_S + 60)
    take(sketch, "a", 2)
    sketch.give_back("shop", ["a"], windows)
    assert take(sketch, "a", 1) == (1, 0)


def test_nothing_is_given_back_below_nothing(sketch: GuessSketch) -> None:
    """Giving back more than was taken gives nobody more than the allowance."""
    sketch.give_back("shop", ["a"] * 5, sketch.windows)
    assert take(sketch, "a", 3) == (1, 0)


def test_others_guesses_reach_nobodys_limit(
    sketch: GuessSketch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many users share the cells, one who was never guessed about is asked about."""
    monkeypatch.setattr(guess_sketch, "_WIDTH", 16)
    monkeypatch.setattr(guess_sketch, "_MASK", 15)
    sketch.take("busy", [str(number) for number in range(3_000)], Budget.of(10**6, 10**6))
    assert take(sketch, "a", 1) == (1, 0)


def test_full_cells_stay_full_and_ask(sketch: GuessSketch) -> None:
    """A cell that can count no further sends every guess to the common count."""
    huge = Budget.of(10**9, 10**9)
    assert take(sketch, "a", MAX_COUNT + 5, huge) == (MAX_COUNT + 5 - 100, 0)
    sketch.give_back("shop", ["a"] * MAX_COUNT, sketch.windows)
    assert take(sketch, "a", 2, huge) == (2, 0)
    assert take(sketch, "a", 2, Budget.of(MAX_COUNT - 1, 10**9)) == (2, 0)


@given(st.lists(st.sampled_from("abcdefgh"), max_size=200))
def test_never_too_low(users: list[str]) -> None:
    """However users share cells, none gets more free guesses than the allowance."""
    sketch = GuessSketch()
    sketch.open(BUDGET, NOW_S)
    counted = sketch.take("shop", users, BUDGET) or Counted([], [], [])
    asked = {*counted.over_minute, *(place for place, _ in counted.closed)}
    free = [user for place, user in enumerate(users) if place not in asked]
    assert max(map(free.count, set(free)), default=0) <= BUDGET.minute.allowance


def test_shared_cells_ask_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every user in one cell the allowance is everybody's together: asked sooner."""
    monkeypatch.setattr(guess_sketch, "_MASK", 0)
    sketch = GuessSketch()
    sketch.open(BUDGET, NOW_S)
    assert sketch.take("shop", ["a", "b", "c"], BUDGET).over_minute == [2]


def test_made_up_users_push_nobody_out(sketch: GuessSketch) -> None:
    """After many users that were made up, a user's count is still there."""
    take(sketch, "a", 2)
    sketch.take("shop", [str(uuid.UUID(int=number)) for number in range(50_000)], BUDGET)
    assert take(sketch, "a", 1) == (1, 0)
