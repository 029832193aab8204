"""How a call is measured: latency of one caller, and the rate of many, in threads or in asyncio.

Nothing but the standard library is imported here, so that the benchmark's other contenders, each in
an environment of its own, are measured by these very functions.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

WARM_UP_S: Final = 5.0
"""Longest wait for every caller to have had one answer before the clock starts."""

STRETCH: Final = 4
"""A window grows up to this many times its length until each caller has had two answers in it."""

_SLICE_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds that single calls took, one after the other."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    calls: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Rate:
    """What many callers got done.

    Attributes:
        per_s: calls a second inside the window.
        calls: calls inside the window.
        all_calls: the same with warm-up and the end, for dividing CPU time.
        failed: calls that raised; the caller that made one stops.
    """

    per_s: float
    calls: int
    all_calls: int
    failed: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class _Tally:
    """Counts of calls, one place a caller, so that no lock is in the way."""

    def __init__(self, callers: int) -> None:
        self.counts = [0] * callers
        self.failed = 0
        self.has_ended = False

    @property
    def has_begun(self) -> bool:
        """Every caller that still calls has had an answer."""
        return sum(count > 0 for count in self.counts) + self.failed >= len(self.counts)

    @property
    def is_over(self) -> bool:
        return self.failed >= len(self.counts)


class _Window:
    """Says when the clock starts and ends; asked every few milliseconds."""

    def __init__(self, tally: _Tally, seconds: float) -> None:
        self._tally = tally
        self._seconds = seconds
        self._asked_at = time.perf_counter()
        self._started_at = 0.0
        self._base = 0

    def is_open(self) -> bool:
        """False once there is enough to tell the rate."""
        now = time.perf_counter()
        if self._tally.is_over:
            return False
        if not self._started_at:
            if self._tally.has_begun or now - self._asked_at > WARM_UP_S:
                self._started_at, self._base = now, sum(self._tally.counts)
            return True
        took_s = now - self._started_at
        is_thin = sum(self._tally.counts) - self._base < 2 * len(self._tally.counts)
        return took_s < self._seconds * (STRETCH if is_thin else 1)

    def rate(self) -> Rate:
        took_s = time.perf_counter() - self._started_at
        calls = sum(self._tally.counts) - self._base
        per_s = calls / took_s if self._started_at else 0.0
        self._tally.has_ended = True
        return Rate(per_s, calls, calls + self._base, self._tally.failed)


def percentiles(times_s: list[float]) -> Latency:
    """The middle, the slowest tenth and the slowest hundredth of some times in seconds."""
    ordered = sorted(times_s)

    def at(share: float) -> float:
        return 1_000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Latency(at(0.5), at(0.9), at(0.99), len(ordered))


def latency(call: Callable[[], object], seconds: float) -> Latency:
    """Call again and again for some seconds; one call is made before the clock starts."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    before = time.perf_counter()
    while before < end or not times:
        call()
        after = time.perf_counter()
        times.append(after - before)
        before = after
    return percentiles(times)


async def async_latency(call: Callable[[], Awaitable[object]], seconds: float) -> Latency:
    """The same, awaited."""
    await call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    before = time.perf_counter()
    while before < end or not times:
        await call()
        after = time.perf_counter()
        times.append(after - before)
        before = after
    return percentiles(times)


def rate(call: Callable[[], object], callers: int, seconds: float) -> Rate:
    """So many threads, each calling again as soon as it has its answer."""
    tally = _Tally(callers)
    begin = threading.Event()  # else the first threads would keep the last from starting

    def run(place: int) -> None:
        begin.wait()
        try:
            while not tally.has_ended:
                call()
                tally.counts[place] += 1
        except Exception:  # noqa: BLE001 - counted; what failed is the contender's business
            tally.failed += 1

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(callers)]
    for thread in threads:
        thread.start()
    begin.set()
    window = _Window(tally, seconds)
    while window.is_open():
        time.sleep(_SLICE_S)
    result = window.rate()
    for thread in threads:
        thread.join(timeout=30)
    return Rate(result.per_s, result.calls, sum(tally.counts), tally.failed)


async def async_rate(call: Callable[[], Awaitable[object]], callers: int, seconds: float) -> Rate:
    """So many tasks of one event loop, each calling again as soon as it has its answer."""
    tally = _Tally(callers)

    async def run(place: int) -> None:
        try:
            while not tally.has_ended:
                await call()
                tally.counts[place] += 1
        except Exception:  # noqa: BLE001 - counted; what failed is the contender's business
            tally.failed += 1

    tasks = [asyncio.create_task(run(place)) for place in range(callers)]
    window = _Window(tally, seconds)
    while window.is_open():  # noqa: ASYNC110 - the rate is measured in slices of time
        await asyncio.sleep(_SLICE_S)
    result = window.rate()
    await asyncio.wait(tasks, timeout=30)
    return Rate(result.per_s, result.calls, sum(tally.counts), tally.failed)
