"""The callers' process: measures one contender, in the contender's own environment.

Started as `python -m benchmarks.driver MODULE`, MODULE having a class `Calls` (see `Contender`
below). Reads one measurement a line from standard input and writes one result a line.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from benchmarks import work
from caas_cli import measure

READY_S = 30.0
PAIRS = 50_000
LARGE_PAIRS = 1_000
"""Of the measurements with large data, which would fill the memory; they make few calls."""

T = TypeVar("T")


class Contender(Protocol):
    """What a contender's `Calls` may offer; `call` or `acall`, the rest is optional."""

    def call(self, user_uuid: str, data: str) -> str:
        """The value, from a thread."""

    async def start(self, callers: int) -> None:
        """Connect, in the running loop."""

    async def acall(self, user_uuid: str, data: str) -> str:
        """The value, in the running loop."""

    async def stop(self) -> None:
        """Disconnect."""

    def many(self, pairs: list[tuple[str, str]]) -> list[str]:
        """Many values, the contender's fastest way."""


class Driver:
    """Carries out measurements on one contender."""

    def __init__(self, calls: Any) -> None:
        self._calls = calls
        self._source = itertools.cycle(work.pairs(PAIRS))
        self._lock = threading.Lock()

    def wait_until_ready(self) -> None:
        """Call until the first right answer comes."""
        end = time.monotonic() + READY_S
        while True:
            try:
                self._first()
                return
            except Exception:  # the service is still starting
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _first(self) -> None:
        user_uuid, data = work.pairs(1)[0]
        if hasattr(self._calls, "call"):
            value = self._calls.call(user_uuid, data)
        else:
            value = _run(self._awaited_once(user_uuid, data))
        expected = getattr(self._calls, "expected", work.digest)(user_uuid, data)
        if expected is not None and value != expected:
            raise SystemExit("The contender's first answer is wrong.")

    async def _awaited_once(self, user_uuid: str, data: str) -> str:
        await self._calls.start(1)
        try:
            value: str = await asyncio.wait_for(self._calls.acall(user_uuid, data), 2)
        finally:
            await self._calls.stop()
        return value

    def measure(self, request: dict[str, Any]) -> dict[str, Any]:
        """One measurement's result, with this process's CPU seconds."""
        if "data_bytes" in request:
            self._source = itertools.cycle(work.pairs(LARGE_PAIRS, request["data_bytes"]))
        before = resource.getrusage(resource.RUSAGE_SELF)
        result = self._measure(request)
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {**result, "client_cpu_s": cpu_s}

    def _measure(self, request: dict[str, Any]) -> dict[str, Any]:
        what, seconds = request["what"], request.get("seconds", 1.0)
        callers = request.get("callers", 1)
        if what == "many":
            return self._many(request["items"])
        if what == "latency":
            return measure.latency(self._call, seconds).to_dict()
        if what == "threads":
            return measure.rate(self._call, callers, seconds).to_dict()
        if what == "async_latency":
            return _run(self._async(lambda: measure.async_latency(self._acall, seconds), 1))
        if what == "asyncio":
            return _run(
                self._async(lambda: measure.async_rate(self._acall, callers, seconds), callers)
            )
        raise SystemExit(f"unknown measurement: {what}")

    async def _async(self, measured: Any, callers: int) -> dict[str, Any]:
        await self._calls.start(callers)
        try:
            result: dict[str, Any] = (await measured()).to_dict()
        finally:
            await self._calls.stop()
        return result

    def _many(self, items: int) -> dict[str, Any]:
        pairs = work.pairs(items)
        started = time.perf_counter()
        values = self._calls.many(pairs)
        took_s = time.perf_counter() - started
        right = sum(isinstance(value, str) and len(value) == 96 for value in values)
        return {
            "per_s": items / took_s,
            "calls": items,
            "all_calls": items,
            "failed": items - right,
        }

    def _call(self) -> str:
        with self._lock:
            user_uuid, data = next(self._source)
        value: str = self._calls.call(user_uuid, data)
        return value

    async def _acall(self) -> str:
        user_uuid, data = next(self._source)
        value: str = await self._calls.acall(user_uuid, data)
        return value


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    if os.environ.get("BENCH_LOOP") == "asyncio":
        return asyncio.run(coroutine)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


def main() -> None:
    """Read requests, write results."""
    # What a contender prints must not come between the results.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module = importlib.import_module(sys.argv[1])
    driver = Driver(module.Calls())
    driver.wait_until_ready()
    out.write(json.dumps({"ready": True}) + "\n")
    out.flush()
    for line in sys.stdin:
        out.write(json.dumps(driver.measure(json.loads(line))) + "\n")
        out.flush()
    out.close()
    os._exit(0)  # some contenders' threads would keep the process


if __name__ == "__main__":
    main()
