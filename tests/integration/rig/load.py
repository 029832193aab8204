"""Many calls from many threads, while a test breaks something in their midst."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rig.process import DEADLINE_S

THREADS: Final = 8


@dataclass(frozen=True)
class Outcome:
    """How one call ended: with a value or an error, and after how long."""

    value: str | None
    error: Exception | None
    took_s: float


class Load:
    """Runs `call` once for each argument, spread over threads.

    Args:
        arguments: one a call.
        call: gives a value or raises.
        break_after: when so many calls have ended, `wait_for_the_moment` returns.
    """

    def __init__(
        self,
        arguments: list[tuple[str, str]],
        call: Callable[[str, str], str],
        break_after: int,
    ) -> None:
        self._call = call
        self._break_after = break_after
        self._lock = threading.Lock()
        self._moment = threading.Event()
        self._ended = 0
        self._arguments = arguments
        self._outcomes: list[Outcome | None] = [None] * len(arguments)
        self._threads = [
            threading.Thread(target=self._run, args=(first,), daemon=True)
            for first in range(THREADS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def _run(self, first: int) -> None:
        for index in range(first, len(self._arguments), THREADS):
            self._outcomes[index] = self._one(*self._arguments[index])
            with self._lock:
                self._ended += 1
                if self._ended == self._break_after:
                    self._moment.set()

    def _one(self, user_uuid: str, data: str) -> Outcome:
        value: str | None = None
        failure: Exception | None = None
        started_s = time.monotonic()
        try:
            value = self._call(user_uuid, data)
        except Exception as error:  # noqa: BLE001 - the test looks at its type
            failure = error
        return Outcome(value, failure, time.monotonic() - started_s)

    def wait_for_the_moment(self) -> None:
        """Wait until `break_after` calls have ended."""
        if not self._moment.wait(DEADLINE_S):
            raise AssertionError("the calls did not get going")

    def outcomes(self, deadline_s: float = 3 * DEADLINE_S) -> list[Outcome]:
        """All outcomes in the order of the arguments; fails when a call hangs."""
        end = time.monotonic() + deadline_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        ended = [outcome for outcome in self._outcomes if outcome is not None]
        if len(ended) != len(self._arguments):
            raise AssertionError(f"{len(self._arguments) - len(ended)} calls hang")
        return ended
