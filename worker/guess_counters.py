"""The common count of guesses in Redis: what all workers gave beyond their own allowances.

| Redis key                             | type | holds                     | lives           |
|---------------------------------------|------|---------------------------|-----------------|
| `caas:guess:<length>:<window>:<name>` | hash | `t` taken, `b` given back | see `GRACE_S`   |

The name is a keyed hash of tenant and UUID (`worker.user_names`). Both numbers only grow, so
that a worker can tell what it last saw and a counter that was lost takes the larger of the two; a
guess that was given back elsewhere is no loss. One script a message takes for all of its users, so
guesses sent at once never pass together.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.redis_connection import connect
from caas_tasks.redis_url import BrokerUrl
from worker.guess_windows import Budget, Limit

KEY_PREFIX: Final = "caas:guess:"
GRACE_S: Final = 60
"""How long a counter outlives its window: clocks differ by seconds."""

MAX_SEEN: Final = 16_384
"""Counters that a worker remembers, to make up for a loss; the least recently used go first."""

REDIS_TIMEOUT_S: Final = 0.5
"""How long a request waits for the common count before its guesses are refused."""

RETRY_S: Final = 1.0
"""How long Redis is left alone after it failed; refused guesses are told to wait as long."""

# KEYS: for each user the counters of its minute and its day.
# ARGV: when each of the two kinds expires; then for each user how many guesses are wanted, and for
# each of its counters how many of them are free, the limit, and what the worker last saw, taken and
# given back. Returns for each user how many guesses it gets, and both counters.
_TAKE: Final = """
local function seen(key, at)
  local found = redis.call('HMGET', key, 't', 'b')
  return math.max(tonumber(found[1] or 0), tonumber(ARGV[at])),
         math.max(tonumber(found[2] or 0), tonumber(ARGV[at + 1]))
end
local function room(at, taken, back)
  return tonumber(ARGV[at]) + math.max(0, tonumber(ARGV[at + 1]) - (taken - back))
end
local function keep(key, taken, back, expiry)
  if taken > 0 then
    redis.call('HSET', key, 't', taken, 'b', back)
    redis.call('EXPIREAT', key, expiry)
  end
end
local out = {}
local at = 3
for i = 1, #KEYS, 2 do
  local mt, mb = seen(KEYS[i], at + 3)
  local dt, db = seen(KEYS[i + 1], at + 7)
  local given = math.min(tonumber(ARGV[at]), room(at + 1, mt, mb), room(at + 5, dt, db))
  mt = mt + math.max(0, given - tonumber(ARGV[at + 1]))
  dt = dt + math.max(0, given - tonumber(ARGV[at + 5]))
  keep(KEYS[i], mt, mb, ARGV[1])
  keep(KEYS[i + 1], dt, db, ARGV[2])
  out[#out + 1] = {given, mt, mb, dt, db}
  at = at + 9
end
return out
"""

# KEYS: counters. ARGV: how many to give back to each. A counter that has gone stays gone.
_GIVE_BACK: Final = """
for i = 1, #KEYS do
  local found = redis.call('HMGET', KEYS[i], 't', 'b')
  if found[1] then
    redis.call('HSET', KEYS[i], 'b',
      math.min(tonumber(found[1]), tonumber(found[2]) + tonumber(ARGV[i])))
  end
end
return #KEYS
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for one user.

    Attributes:
        name: of the user, a keyed hash.
        guesses: how many.
        free_minute: how many of them are within the worker's own allowance for a minute.
        free_day: the same for a day.
    """

    name: str
    guesses: int
    free_minute: int
    free_day: int


@dataclass(frozen=True, slots=True)
class Given:
    """What one user gets.

    Attributes:
        guesses: how many may be worked on.
        closed: the limit that keeps back the rest.
    """

    guesses: int
    closed: Limit


class GuessCounters:
    """The counters of all workers.

    Args:
        client: a thread-safe redis-py client with short timeouts that sends nothing twice.
        monotonic: seconds that never go back.

    Raises:
        ServiceUnavailableError: from `take`, when Redis can't be reached, with `RETRY_S`.
    """

    def __init__(self, client: redis.Redis, monotonic: Callable[[], float]) -> None:
        self._take: Any = client.register_script(_TAKE)
        self._give_back: Any = client.register_script(_GIVE_BACK)
        self._monotonic = monotonic
        self._failed_at = -RETRY_S
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, wanted: Sequence[Wanted], budget: Budget, now_s: float) -> list[Given]:
        """Take guesses for several users of one tenant, each here once, in one step.

        Args:
            now_s: Unix time in seconds.
        """
        keys = [key for user in wanted for key in keys_of(user.name, budget, now_s)]
        arguments: list[int] = [limit.end_s(now_s) + GRACE_S for limit in _limits(budget)]
        for user, minute, day in zip(wanted, keys[::2], keys[1::2], strict=True):
            arguments += [user.guesses]
            arguments += [user.free_minute, budget.minute.shared, *self._last_seen(minute)]
            arguments += [user.free_day, budget.day.shared, *self._last_seen(day)]
        # Once more, at once: an idle connection may have been cut. Guesses taken twice are lost.
        rows = self._ask(self._take, keys, arguments, tries=2)
        if rows is None:
            raise ServiceUnavailableError(
                "Guesses can't be counted at the moment.", retry_after_s=RETRY_S
            )
        with self._lock:
            for row, minute, day in zip(rows, keys[::2], keys[1::2], strict=True):
                self._note(minute, row[1:3])
                self._note(day, row[3:5])
        return [_given(row, budget) for row in rows]

    def give_back(self, counts: Mapping[str, int]) -> None:
        """Give guesses back, counter by counter; when Redis can't be reached they stay taken.

        It is asked once: after a lost reply nobody knows whether they were given back, and given
        back twice they would be guesses that nobody took.

        Args:
            counts: how many guesses, by the counter's key.
        """
        self._ask(self._give_back, list(counts), list(counts.values()), tries=1)

    def _ask(self, script: Any, keys: list[str], arguments: list[int], *, tries: int) -> Any:
        """What a script answers; None when Redis can't be reached or failed just now."""
        if self._monotonic() - self._failed_at < RETRY_S:
            return None
        for _ in range(tries):
            try:
                return script(keys=keys, args=arguments)
            except (redis.ConnectionError, redis.TimeoutError):
                continue
            except redis.RedisError:
                break
        self._failed_at = self._monotonic()
        return None

    def _last_seen(self, key: str) -> tuple[int, int]:
        with self._lock:
            return self._seen.get(key, (0, 0))

    def _note(self, key: str, counts: Sequence[int]) -> None:
        taken, given_back = counts
        before = self._seen.get(key, (0, 0))
        self._seen[key] = max(taken, before[0]), max(given_back, before[1])
        self._seen.move_to_end(key)
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)


def open_client(broker: BrokerUrl, retries: int = 0) -> redis.Redis:
    """A client for the counters; connects when first used.

    Args:
        broker: where they are.
        retries: how often any command is sent again after a lost connection.
    """
    return connect(
        broker,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), retries),
        client_name="caas-counters",
    )


def keys_of(name: str, budget: Budget, now_s: float) -> list[str]:
    """The counters of a user's open minute and day."""
    return [
        f"{KEY_PREFIX}{limit.length_s}:{limit.window(now_s)}:{name}" for limit in _limits(budget)
    ]


def _limits(budget: Budget) -> tuple[Limit, Limit]:
    return budget.minute, budget.day


def _given(row: Sequence[int], budget: Budget) -> Given:
    is_day_closed = row[3] - row[4] >= budget.day.shared
    return Given(row[0], budget.day if is_day_closed else budget.minute)
