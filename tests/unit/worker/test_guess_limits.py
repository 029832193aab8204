"""The guess limit by what one worker knows, with a common count that a test holds in its hand."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from caas_tasks.errors import RateLimitedError, ServiceError, ServiceUnavailableError
from worker.guess_counters import Given, Wanted, keys_of
from worker.guess_limits import LocalFirstLimits
from worker.guess_windows import Budget
from worker.keystore.document import Tenant
from worker.user_names import UserNames

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
BUDGET = Budget.of(60, 1_000)
NAMES = UserNames(bytes(32))
SHOP = Tenant(name="shop", created_at=0)


class CommonCount:
    """Stands in for the counters in Redis: one number a user and window, under a lock."""

    def __init__(self) -> None:
        self.net: Counter[str] = Counter()
        self.asked: list[list[Wanted]] = []
        self.is_down = False
        self._lock = threading.Lock()

    def take(self, wanted: Sequence[Wanted], budget: Budget, now_s: float) -> list[Given]:
        if self.is_down:
            raise ServiceUnavailableError(retry_after_s=1.0)
        with self._lock:
            self.asked.append(list(wanted))
            return [self._take(user, budget, now_s) for user in wanted]

    def _take(self, user: Wanted, budget: Budget, now_s: float) -> Given:
        minute, day = keys_of(user.name, budget, now_s)
        room = min(
            user.free_minute + budget.minute.shared - self.net[minute],
            user.free_day + budget.day.shared - self.net[day],
        )
        given = max(0, min(user.guesses, room))
        self.net[minute] += max(0, given - user.free_minute)
        self.net[day] += max(0, given - user.free_day)
        is_day = self.net[day] >= budget.day.shared
        return Given(given, budget.day if is_day else budget.minute)

    def give_back(self, counts: Mapping[str, int]) -> None:
        for key, count in counts.items():
            self.net[key] -= count


class Workers:
    """Several workers with one common count and one clock."""

    def __init__(self, count: int) -> None:
        self.now_s = 60_000_000.0
        self.common = CommonCount()
        common: Any = self.common
        self.limits = [
            LocalFirstLimits(BUDGET, common, NAMES, lambda: self.now_s) for _ in range(count)
        ]

    def guess(
        self, worker: int = 0, times: int = 1, user: str = USER, tenant: Tenant = SHOP
    ) -> list[ServiceError | None]:
        """Wrong guesses in one message; what they were refused with."""
        return self.limits[worker].reserve(tenant, [user] * times).refusals or [None] * times


def given(refusals: Sequence[ServiceError | None]) -> int:
    return sum(refusal is None for refusal in refusals)


def test_one_worker_gives_the_limit_exactly() -> None:
    """With one worker the limit is the limit, guess by guess."""
    workers = Workers(1)
    assert given([refusal for _ in range(200) for refusal in workers.guess()]) == 60


def test_one_message_gives_the_limit_exactly() -> None:
    """Guesses in one message do not pass together."""
    refusals = Workers(1).guess(times=200)
    assert (given(refusals), given(refusals[:60])) == (60, 60)


@pytest.mark.parametrize("count", [2, 3, 12])
def test_fleet_keeps_its_bound(count: int) -> None:
    """However guesses are spread over workers, no more than the stated bound is given."""
    workers = Workers(count)
    refusals = [
        refusal for number in range(100 * count) for refusal in workers.guess(number % count)
    ]
    assert given(refusals) == BUDGET.fleet_bound(count)[0]


def test_day_has_its_bound_too() -> None:
    """Slow guessing, below the minute's limit, ends at the day's."""
    workers = Workers(2)
    total = 0
    for _minute in range(60):
        total += given(workers.guess(0, 30)) + given(workers.guess(1, 30))
        workers.now_s += 60
    assert total == BUDGET.fleet_bound(2)[1] == 1_083
    (refusal,) = workers.guess()
    assert refusal == RateLimitedError(retry_after_s=BUDGET.day.retry_after_s(workers.now_s))


def test_slow_guesses_below_the_allowance_are_counted_in_the_day() -> None:
    """Five guesses a minute ask nobody, until the day's allowance is used up."""
    workers = Workers(1)
    asked_after = None
    for minute in range(20):
        workers.guess(times=5)
        if workers.common.asked and asked_after is None:
            asked_after = 5 * minute
        workers.now_s += 60
    assert asked_after == 80


def test_refused_guess_is_told_when_to_come_back() -> None:
    """The answer is `rate_limited` with whole seconds to the next minute, and then it works."""
    workers = Workers(1)
    workers.now_s += 12.3
    refusal = workers.guess(times=61)[-1]
    assert refusal == RateLimitedError(retry_after_s=48)
    workers.now_s += 48
    assert workers.guess() == [None]


def test_users_who_are_seen_seldom_ask_nobody() -> None:
    """10,000 users at five guesses each: hardly a round trip, nobody limited."""
    workers = Workers(1)
    users = [f"{number:08x}-4800-40a8-badf-c26b73af230c" for number in range(10_000)]
    for _ in range(5):
        reserved = workers.limits[0].reserve(SHOP, users)
        assert not reserved.refusals
    # Two users may share their cells and be asked about: one in some ten thousand.
    assert len(workers.common.asked) < 10


def test_users_of_a_message_are_asked_about_together() -> None:
    """All users of a message that are over the allowance cost one question, each named once."""
    workers = Workers(1)
    users = ["a", "b"] * 10
    workers.limits[0].reserve(SHOP, users)
    names = [NAMES.for_counter("shop", user) for user in ("a", "b")]
    assert workers.common.asked == [[Wanted(name, 10, 5, 10) for name in names]]


def test_common_count_does_not_learn_the_user() -> None:
    """What the common count is asked about is a keyed hash, another for each tenant."""
    workers = Workers(1)
    workers.guess(times=6)
    workers.guess(times=6, tenant=Tenant(name="clinic", created_at=0))
    ((shop,), (clinic,)) = workers.common.asked
    assert shop.name != clinic.name
    assert USER not in shop.name + clinic.name


def test_right_guesses_use_nothing_up() -> None:
    """A user who logs in all day is never limited, and wrong guesses still are."""
    workers = Workers(2)
    for number in range(500):
        reserved = workers.limits[number % 2].reserve(SHOP, [USER])
        assert not reserved.refusals
        reserved.give_back([0])
    total = sum(given(workers.guess(number % 2)) for number in range(300))
    assert total == 65


def test_right_guess_is_given_back_to_where_it_came_from() -> None:
    """Of a message with free and common guesses each goes back to its own count."""
    workers = Workers(1)
    reserved = workers.limits[0].reserve(SHOP, [USER] * 7)
    reserved.give_back([0, 6])
    minute, day = keys_of(NAMES.for_counter("shop", USER), BUDGET, workers.now_s)
    assert (workers.common.net[minute], workers.common.net[day]) == (1, 0)
    assert given(workers.guess(times=100)) == 54


def test_tenant_has_its_own_budget() -> None:
    """A tenant's own limits count instead of the default, each by itself."""
    workers = Workers(1)
    strict = Tenant(name="shop", created_at=0, guesses_per_minute=3)
    assert given(workers.guess(times=10, tenant=strict)) == 3
    weekly = Tenant(name="clinic", created_at=0, guesses_per_day=7)
    assert given(workers.guess(times=10, tenant=weekly)) == 7


def test_without_the_common_count_only_the_allowance_is_given() -> None:
    """While Redis can't be asked a worker gives its allowance and refuses the rest for now."""
    workers = Workers(1)
    workers.common.is_down = True
    refusals = workers.guess(times=10)
    assert refusals == [None] * 5 + [ServiceUnavailableError(retry_after_s=1.0)] * 5
    workers.common.is_down = False
    assert given(workers.guess(times=100)) == 55


def test_refused_guesses_use_nothing_up() -> None:
    """Knocking while the limit is reached does not move the day's limit nearer."""
    workers = Workers(1)
    for _ in range(20):
        workers.guess(times=100)
    workers.now_s += 60
    assert given(workers.guess(times=100)) == 60


@pytest.mark.parametrize("is_lost", [False, True])
def test_no_worker_gives_more_than_the_limit(is_lost: bool) -> None:
    """Whatever the common count says, even nothing at all, a worker stops at the limit."""
    workers = Workers(2)
    total = 0
    for number in range(400):
        total += given(workers.guess(number % 2))
        if is_lost:
            workers.common.net.clear()
    assert total == (120 if is_lost else 65)


def test_parallel_guesses_do_not_pass_together() -> None:
    """Many threads of two workers at once: no more than the bound."""
    workers = Workers(2)
    start = threading.Barrier(16)
    results: list[int] = []

    def run(number: int) -> None:
        start.wait()
        results.extend(given(workers.guess(number % 2)) for _ in range(25))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(results) == BUDGET.fleet_bound(2)[0]
