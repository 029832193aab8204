"""The common count of guesses on a real server: one step a message, lost counters, no server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from rig.stack import Broker

from caas_tasks.errors import ServiceUnavailableError
from worker.guess_counters import (
    GRACE_S,
    KEY_PREFIX,
    RETRY_S,
    Given,
    GuessCounters,
    Wanted,
    keys_of,
)
from worker.guess_limits import LocalFirstLimits
from worker.guess_windows import Budget
from worker.keystore.document import Tenant
from worker.user_names import UserNames

pytestmark = pytest.mark.integration

BUDGET = Budget.of(60, 1_000)  # 55 a minute and 917 a day are shared
SHOP = Tenant(name="shop", created_at=0)
USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
NAMES = UserNames(bytes(32))


class Clock:
    """One clock for Unix time and for waiting."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    started = Broker(tmp_path_factory.mktemp("counters"))
    yield started
    started.stop()


@pytest.fixture
def server(broker: Broker) -> Iterator[redis.Redis]:
    with broker.connect() as client:
        client.flushall()
        yield client


@pytest.fixture
def clock(server: redis.Redis) -> Clock:
    """The server's own time, so that nothing expires early; it stands still."""
    seconds, _ = server.time()
    return Clock(seconds // 60 * 60 + 30.0)


@pytest.fixture
def new_counters(server: redis.Redis, clock: Clock) -> Callable[[], GuessCounters]:
    """Makes the counters of one more worker."""
    return lambda: GuessCounters(server, clock)


def want(name: str, guesses: int, free_minute: int = 0, free_day: int = 0) -> Wanted:
    return Wanted(name, guesses, free_minute, free_day)


def take(counters: GuessCounters, clock: Clock, *wanted: Wanted) -> list[int]:
    return [given.guesses for given in counters.take(wanted, BUDGET, clock())]


def test_guesses_are_given_up_to_the_limit(
    new_counters: Callable[[], GuessCounters], clock: Clock
) -> None:
    """Two workers share one count."""
    one, other = new_counters(), new_counters()
    assert take(one, clock, want("a", 50)) == [50]
    assert take(other, clock, want("a", 50), want("b", 3)) == [5, 3]
    assert one.take([want("a", 1)], BUDGET, clock()) == [Given(0, BUDGET.minute)]


def test_free_guesses_are_not_counted(
    new_counters: Callable[[], GuessCounters], clock: Clock
) -> None:
    """What is within a worker's own allowance counts in neither window, or in one alone."""
    counters = new_counters()
    assert take(counters, clock, want("a", 10, 5, 10)) == [10]
    assert take(counters, clock, want("a", 60, 5, 60)) == [55]


def test_day_closes_after_many_minutes(
    new_counters: Callable[[], GuessCounters], clock: Clock
) -> None:
    """The long window counts on while short ones come and go, and is named when it is reached."""
    counters = new_counters()
    clock.now_s = (clock.now_s // 86_400 + 1) * 86_400
    total = 0
    for _ in range(17):
        total += sum(take(counters, clock, want("a", 55)))
        clock.now_s += 60
    assert total == BUDGET.day.shared
    assert counters.take([want("a", 1)], BUDGET, clock()) == [Given(0, BUDGET.day)]


def test_counters_expire_after_their_window(
    new_counters: Callable[[], GuessCounters], clock: Clock, server: redis.Redis
) -> None:
    """Nothing stays in Redis beyond the window and a moment for clocks."""
    take(new_counters(), clock, want("a", 1))
    ends = {
        key.decode(): server.execute_command("EXPIRETIME", key)
        for key in server.scan_iter(f"{KEY_PREFIX}*")
    }
    minute, day = keys_of("a", BUDGET, clock())
    assert ends == {
        minute: BUDGET.minute.end_s(clock()) + GRACE_S,
        day: BUDGET.day.end_s(clock()) + GRACE_S,
    }


def test_given_back_guesses_can_be_taken_again(
    new_counters: Callable[[], GuessCounters], clock: Clock
) -> None:
    """A worker that saw the higher count does not hold it against one that gave back."""
    one, other = new_counters(), new_counters()
    assert take(one, clock, want("a", 55)) == [55]
    other.give_back(dict.fromkeys(keys_of("a", BUDGET, clock()), 5))
    assert take(one, clock, want("a", 9)) == [5]


def test_giving_back_to_a_lost_counter_makes_none(
    new_counters: Callable[[], GuessCounters], clock: Clock, server: redis.Redis
) -> None:
    """A counter that has gone stays gone, and nobody gets more than was taken."""
    new_counters().give_back(dict.fromkeys(keys_of("a", BUDGET, clock()), 5))
    assert server.dbsize() == 0
    take(new_counters(), clock, want("a", 55))
    new_counters().give_back(dict.fromkeys(keys_of("a", BUDGET, clock()), 99))
    assert take(new_counters(), clock, want("a", 99)) == [55]


def test_lost_counters_are_seeded_from_what_was_seen(
    new_counters: Callable[[], GuessCounters], clock: Clock, server: redis.Redis
) -> None:
    """After a loss the worker that goes on brings its last count along; so do others."""
    one, other = new_counters(), new_counters()
    take(one, clock, want("a", 20))
    take(other, clock, want("a", 20))
    server.flushall()
    assert take(other, clock, want("a", 55)) == [15]
    server.flushall()
    assert take(one, clock, want("a", 55)) == [35]
    assert take(other, clock, want("a", 1)) == [0]


def test_scripts_survive_a_flush(
    new_counters: Callable[[], GuessCounters], clock: Clock, server: redis.Redis
) -> None:
    """A server that has forgotten the scripts is given them again."""
    counters = new_counters()
    take(counters, clock, want("a", 1))
    server.script_flush()
    assert take(counters, clock, want("a", 1)) == [1]


def new_limits(server: redis.Redis, clock: Clock) -> LocalFirstLimits:
    return LocalFirstLimits(BUDGET, GuessCounters(server, clock), NAMES, clock)


def given(limits: LocalFirstLimits, times: int) -> int:
    """How many guesses of one message are worked on."""
    refusals = limits.reserve(SHOP, [USER] * times).refusals
    return times - sum(refusal is not None for refusal in refusals)


def test_fleet_of_threads_keeps_its_bound(server: redis.Redis, clock: Clock) -> None:
    """200 guesses at once over two workers of four threads, in messages of one and of several."""
    fleet = [new_limits(server, clock) for _ in range(2)]
    start = threading.Barrier(8)
    results: list[int] = []

    def run(number: int) -> None:
        start.wait()
        limits = fleet[number % 2]
        sizes = (1, 3, 1, 9, 1, 10)
        results.extend(given(limits, size) for size in sizes)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(results) == BUDGET.fleet_bound(2)[0] == 65


@pytest.mark.parametrize(("workers", "bound"), [(1, 60), (2, 120)])
def test_bound_while_redis_loses_everything(
    server: redis.Redis, clock: Clock, workers: int, bound: int
) -> None:
    """Though the counters are lost before every guess, each worker stops at the limit."""
    fleet = [new_limits(server, clock) for _ in range(workers)]
    total = 0
    for number in range(300):
        server.flushall()
        total += given(fleet[number % workers], 1)
    assert total <= bound


def test_unreachable_server_fails_closed(tmp_path: Path) -> None:
    """Without the server no guess beyond the allowance is worked on; when it is back they are."""
    clock = Clock(1_000_000.0)
    broker = Broker(tmp_path)
    limits = new_limits(broker.connect(), clock)
    limits.reserve(SHOP, [USER] * 6)
    broker.kill()
    refusals = limits.reserve(SHOP, [USER, "another", USER]).refusals
    refusal = ServiceUnavailableError(
        "Guesses can't be counted at the moment.", retry_after_s=RETRY_S
    )
    assert refusals == [refusal, None, refusal]
    broker.start()
    assert limits.reserve(SHOP, [USER]).refusals == [refusal]
    clock.now_s += RETRY_S
    assert limits.reserve(SHOP, [USER]).refusals == []
    broker.stop()
