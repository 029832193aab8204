"""The guess limit (docs/spec.md, section 7; docs/guess-limits.md).

A worker counts by itself first and asks Redis only about users that it sees often, so ordinary
traffic costs no round trip. With the default limits: up to 5 guesses about a user in a minute and
83 in a day a worker gives without asking; the rest of the limit all workers share. So of one user
never fewer than the limit are given by one worker, and a fleet of N never computes more than
`limit + allowance * (N - 1)` in a window. Whatever becomes of Redis, no worker computes more than
the limit by itself, and what other users may have added to its count.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from caas_tasks.errors import RateLimitedError, ServiceError, ServiceUnavailableError
from worker.guess_counters import GuessCounters, Wanted, keys_of
from worker.guess_sketch import Counted, GuessSketch
from worker.guess_windows import Budget, Limit
from worker.keystore.document import Tenant
from worker.user_names import UserNames


class LocalFirstLimits:
    """Limits guesses by what this worker saw, and by a common count for users it sees often.

    Args:
        default: the budget of tenants that have none of their own.
        counters: the common count.
        names: names users to it.
        now_s: Unix time in seconds.
    """

    def __init__(
        self,
        default: Budget,
        counters: GuessCounters,
        names: UserNames,
        now_s: Callable[[], float],
    ) -> None:
        self._default = default
        self._counters = counters
        self._names = names
        self._now_s = now_s
        self._sketch = GuessSketch()
        self._lock = threading.Lock()
        self._budgets: dict[tuple[int | None, int | None], Budget] = {}

    def reserve(self, tenant: Tenant, users: Sequence[str]) -> TakenGuesses:
        """Take one guess a user off its budget; see `worker.batch.GuessLimits`."""
        budget = self._budget(tenant)
        now_s = self._now_s()
        with self._lock:
            self._sketch.open(budget, now_s)
            counted = self._sketch.take(tenant.name, users, budget)
            taken = TakenGuesses(self, tenant.name, users, budget, now_s, self._sketch.windows)
        if counted is not None:
            taken.count(counted)
            if counted.over_minute or counted.over_day:
                self._share(taken)
        return taken

    def _share(self, taken: TakenGuesses) -> None:
        """Ask the common count about users with guesses beyond this worker's allowance."""
        places_of = taken.places_to_ask_about()
        wanted = [self._wanted(taken, places) for places in places_of]
        refused: dict[int, ServiceError] = {}
        try:
            answers = self._counters.take(wanted, taken.budget, taken.now_s)
        except ServiceUnavailableError as error:
            # Nobody can say how many guesses other workers gave: none of these is worked on.
            over = taken.over_minute | taken.over_day
            refused = dict.fromkeys(over, error.with_traceback(None))
        else:
            for places, given in zip(places_of, answers, strict=True):
                for place in places[given.guesses :]:
                    refused[place] = _too_many(given.closed, taken.now_s)
        for place, refusal in refused.items():
            taken.refuse(place, refusal)
        self._uncount(taken, list(refused))

    def _wanted(self, taken: TakenGuesses, places: Sequence[int]) -> Wanted:
        return Wanted(
            self._names.for_counter(taken.tenant, taken.users[places[0]]),
            len(places),
            free_minute=sum(place not in taken.over_minute for place in places),
            free_day=sum(place not in taken.over_day for place in places),
        )

    def give_back(self, taken: TakenGuesses, places: Sequence[int]) -> None:
        """Undo reservations; see `worker.batch.Reservation`."""
        self._uncount(taken, places)
        counts: Counter[str] = Counter()
        for place in places:
            if place in taken.over_minute or place in taken.over_day:
                name = self._names.for_counter(taken.tenant, taken.users[place])
                minute, day = keys_of(name, taken.budget, taken.now_s)
                counts[minute] += place in taken.over_minute
                counts[day] += place in taken.over_day
        if counts:
            self._counters.give_back(counts)

    def _uncount(self, taken: TakenGuesses, places: Sequence[int]) -> None:
        if places:
            users = [taken.users[place] for place in places]
            with self._lock:
                self._sketch.give_back(taken.tenant, users, taken.windows)

    def _budget(self, tenant: Tenant) -> Budget:
        own = tenant.guesses_per_minute, tenant.guesses_per_day
        budget = self._budgets.get(own)
        if budget is None:
            minute, day = self._default.minute.guesses, self._default.day.guesses
            budget = Budget.of(
                minute if own[0] is None else own[0], day if own[1] is None else own[1]
            )
            self._budgets[own] = budget
        return budget


class TakenGuesses:
    """The guesses of one message; see `worker.batch.Reservation`.

    Attributes:
        refusals: for each guess an error, or None when it may be worked on; empty when all may.
        over_minute: the places of those that the common count of a minute was asked about.
        over_day: the same for a day.
    """

    __slots__ = ("_limits", "budget", "now_s", "over_day", "over_minute", "refusals", "tenant",
                 "users", "windows")  # fmt: skip

    def __init__(
        self,
        limits: LocalFirstLimits,
        tenant: str,
        users: Sequence[str],
        budget: Budget,
        now_s: float,
        windows: tuple[int, int],
    ) -> None:
        self._limits = limits
        self.tenant = tenant
        self.users = users
        self.budget = budget
        self.now_s = now_s
        self.windows = windows
        self.refusals: list[ServiceError | None] = []
        self.over_minute: frozenset[int] = frozenset()
        self.over_day: frozenset[int] = frozenset()

    def count(self, counted: Counted) -> None:
        """Note what is not within the worker's own allowance."""
        self.over_minute = frozenset(counted.over_minute)
        self.over_day = frozenset(counted.over_day)
        for place, closed in counted.closed:
            self.refuse(place, _too_many(closed, self.now_s))

    def refuse(self, place: int, error: ServiceError) -> None:
        """Note that a guess must not be worked on."""
        if not self.refusals:
            self.refusals = [None] * len(self.users)
        self.refusals[place] = error

    def places_to_ask_about(self) -> list[list[int]]:
        """By user the places of its guesses, those not closed; of users that need the question."""
        asked = {self.users[place] for place in self.over_minute | self.over_day}
        places_of: dict[str, list[int]] = {user: [] for user in self.users if user in asked}
        for place, user in enumerate(self.users):
            if user in asked and not (self.refusals and self.refusals[place]):
                places_of[user].append(place)
        return list(places_of.values())

    def give_back(self, positions: Sequence[int]) -> None:
        """Undo the reservations of guesses that were right, by their places."""
        self._limits.give_back(self, positions)


def _too_many(closed: Limit, now_s: float) -> RateLimitedError:
    return RateLimitedError(retry_after_s=closed.retry_after_s(now_s))
