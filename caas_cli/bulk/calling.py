"""Asks the service about a chunk, and waits while it is away or asks to be slower, within a bound.

What is asked again: a row that wasn't answered in time, whose message the broker didn't take, or
that was `rate_limited`, after the time that the answer names. While the service answers nothing at
all the run waits at most `patience_s`, then stops where it can be resumed. A row that is still
limited after `patience_s` fails, so that one busy user can't hold up the whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from caas_cli.bulk.chunks import Entry
from caas_tasks.errors import (
    InternalError,
    RateLimitedError,
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
    UnreadableMessageError,
)

FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 10.0
"""Wait between two tries while the service is away; it doubles from the first to the last."""

MIN_PAUSE_S: Final = 0.1
DEFAULT_RETRY_AFTER_S: Final = 1.0
"""Wait for a limited row when the answer names none, and the least of those that it may name."""

_AWAY: Final = (ServiceUnavailableError, RequestTimeoutError)


class StoppedError(Exception):
    """The run is being stopped; holds nothing."""


class Caller:
    """Answers chunks, from several threads.

    Args:
        call: asks the service once: results or errors, in order.
        patience_s: longest wait for a service that answers nothing, and for a limited row.
        clock: monotonic seconds.
        stop: ends every wait when it is set.
        on_wait: told why, each time that something has to be waited for.
    """

    def __init__(
        self,
        call: Callable[[list[Entry]], list[Any]],
        *,
        patience_s: float,
        clock: Callable[[], float],
        stop: threading.Event,
        on_wait: Callable[[str], None],
    ) -> None:
        self._call = call
        self._patience_s = patience_s
        self._clock = clock
        self._stop = stop
        self._on_wait = on_wait
        self._answered_at = clock()

    def answer(self, entries: list[Entry]) -> list[Any]:
        """Results or errors in order; none of the errors is one that waiting may mend.

        Raises:
            ServiceUnavailableError, RequestTimeoutError, InternalError: the service stayed away.
            UnreadableMessageError: no worker has the key that the messages are sealed to.
            UnauthorizedError, ForbiddenError: the API key may not do this.
            StoppedError: the run was stopped meanwhile.
        """
        results: list[Any] = [None] * len(entries)
        places = list(range(len(entries)))
        started = self._clock()
        pause_s = FIRST_PAUSE_S
        while places:
            fresh = self._call([entries[place] for place in places])
            for place, result in zip(places, fresh, strict=True):
                results[place] = result
            again = self._to_ask_again(fresh)
            if not again:
                break
            places = [places[i] for i in again]
            wait_s = self._limited_s([fresh[i] for i in again], started)
            if wait_s is None:
                self._give_up_if_away(fresh[again[0]])
                self._on_wait("the service does not answer")
                self._wait(pause_s)
                pause_s = min(MAX_PAUSE_S, 2 * pause_s)
            elif wait_s > 0:
                self._on_wait("the service asks to be slower")
                self._wait(wait_s)
            else:
                break
        return results

    def _to_ask_again(self, fresh: list[Any]) -> list[int]:
        """The places to ask about again; notes that the service is there if it answered any."""
        failed = [i for i, result in enumerate(fresh) if isinstance(result, ServiceError)]
        again: list[int] = []
        for i in failed:
            if isinstance(fresh[i], UnreadableMessageError):
                raise fresh[i]
            if isinstance(fresh[i], (*_AWAY, RateLimitedError)):
                again.append(i)
        if len(fresh) > 1 and all(isinstance(result, InternalError) for result in fresh):
            return failed  # one row can be what a worker stumbles over; a whole chunk is not
        if any(not isinstance(result, _AWAY) for result in fresh):
            self._answered_at = self._clock()
        return again

    def _limited_s(self, errors: list[ServiceError], started: float) -> float | None:
        """Seconds until limited rows may be asked again; 0 for never, None if none is limited."""
        limited = [error for error in errors if isinstance(error, RateLimitedError)]
        if not limited:
            return None
        if len(limited) < len(errors):  # others only wait for an answer: ask for all soon
            return FIRST_PAUSE_S
        left_s = started + self._patience_s - self._clock()
        named = [error.retry_after_s or DEFAULT_RETRY_AFTER_S for error in limited]
        return min((max(MIN_PAUSE_S, wait) for wait in named if wait <= left_s), default=0.0)

    def _give_up_if_away(self, error: ServiceError) -> None:
        if self._clock() - self._answered_at >= self._patience_s:
            raise error

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise StoppedError
