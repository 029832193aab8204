"""`caas bench`: measures an installation on the spot, through the client library as callers use it.

Every call is of a user of its own, made up for the run, so that no user's guess limit is met and
nothing is counted against a real one. docs/cli.md has the form of the result, which
`caas capacity` reads.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Final

from caas_cli import measure
from caas_cli.bench_figures import figures, machine
from caas_cli.bench_meters import Meters, Readings
from caas_tasks.errors import ServiceError
from caas_tasks.names import Lane
from producer_client import AsyncClient, Client

FORMAT: Final = "caas-bench/1"
CALLERS: Final = (1, 8, 64, 512)
DATA_BYTES: Final = 32
PAYLOAD_BYTES: Final = (32, 1_024, 8_192, 65_536)
PAYLOAD_CALLERS: Final = 64
PASSWORD_CALLERS: Final = 4
TIMEOUT_S: Final = 20.0
PASSWORD_WORKER_S: Final = 5.0
"""How long a worker of the password lane has to show that it is there, in seconds."""

US_PER_S: Final = 1e6
Measured = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scale:
    """How long a run takes.

    Attributes:
        seconds: of one measurement; there are some twenty.
        many_items: items of the one `encrypt_many`.
    """

    seconds: float
    many_items: int


FULL: Final = Scale(seconds=1.0, many_items=50_000)
QUICK: Final = Scale(seconds=0.4, many_items=10_000)


@dataclass(frozen=True, slots=True)
class Access:
    """What a client is made of."""

    broker_url: str
    api_key: str
    server_key: str

    def __repr__(self) -> str:
        return "Access()"

    def options(self) -> dict[str, Any]:
        """Arguments of a client."""
        return {
            "broker_url": self.broker_url,
            "api_key": self.api_key,
            "server_key": self.server_key,
            "timeout_s": TIMEOUT_S,
        }


class Bench:
    """Measures one installation.

    Args:
        progress: gets a line before each part.
    """

    def __init__(self, access: Access, scale: Scale, progress: Callable[[str], None]) -> None:
        self._access = access
        self._scale = scale
        self._progress = progress
        self._users = made_up_users()

    def run(self, *, is_own: bool) -> Measured:
        """Everything, in the form of docs/cli.md.

        Raises:
            ServiceError: the installation does not answer.
        """
        with Client(**self._access.options()) as client:
            client.ping()
            self._meters = Meters(self._access.broker_url)
            self._progress("latency")
            threads = [self._threads(client, callers) for callers in CALLERS]
            tasks = asyncio.run(self._tasks())
            self._progress("encrypt_many")
            many = self._many(client)
            self._progress("passwords")
            passwords = self._passwords(client)
        lone = threads[0]
        return {
            "format": FORMAT,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "caas": metadata.version("caas"),
            "machine": machine(),
            "service": {"is_own": is_own, "workers": self._meters.workers},
            "throughput": threads + tasks["throughput"],
            "encrypt_many": many,
            "payloads": tasks["payloads"],
            "passwords": passwords,
            "figures": figures(
                lone, self._access.server_key, self._access.api_key, self._meters.worker_rss_kib
            ),
        }

    def _metered(self, measured: Callable[[], Measured]) -> Measured:
        before = self._meters.read()
        result = measured()
        return {**result, **costs(before, self._meters.read(), result["calls"])}

    async def _metered_async(self, measured: Awaitable[Measured]) -> Measured:
        before = await asyncio.to_thread(self._meters.read)
        result = await measured
        after = await asyncio.to_thread(self._meters.read)
        return {**result, **costs(before, after, result["calls"])}

    def _threads(self, client: Client, callers: int) -> Measured:
        self._progress(f"{callers} callers, threads")

        def call() -> None:
            client.encrypt(next(self._users), "x" * DATA_BYTES)

        def measured() -> Measured:
            if callers == 1:
                return lone(measure.latency(call, self._scale.seconds), self._scale.seconds)
            return rate(measure.rate(call, callers, self._scale.seconds))

        return {"mode": "threads", "callers": callers, **self._metered(measured)}

    async def _tasks(self) -> Measured:
        throughput, payloads = [], []
        async with AsyncClient(**self._access.options()) as client:
            await client.ping()
            for callers in CALLERS:
                self._progress(f"{callers} callers, asyncio")
                measured = await self._of_tasks(client, callers, DATA_BYTES)
                throughput.append({"mode": "asyncio", "callers": callers, **measured})
            for size in PAYLOAD_BYTES:
                self._progress(f"{size:,} bytes")
                alone = await self._of_tasks(client, 1, size)
                many = await self._of_tasks(client, PAYLOAD_CALLERS, size)
                payloads.append({"bytes": size, "alone": alone, "callers_64": many})
        return {"throughput": throughput, "payloads": payloads}

    async def _of_tasks(self, client: AsyncClient, callers: int, size: int) -> Measured:
        data, seconds = "x" * size, self._scale.seconds

        async def call() -> None:
            await client.encrypt(next(self._users), data)

        async def measured() -> Measured:
            if callers == 1:
                return lone(await measure.async_latency(call, seconds), seconds)
            return rate(await measure.async_rate(call, callers, seconds))

        return await self._metered_async(measured())

    def _many(self, client: Client) -> Measured:
        items = self._scale.many_items
        pairs = [(next(self._users), "x" * DATA_BYTES) for _ in range(items)]

        def measured() -> Measured:
            started = time.perf_counter()
            results = client.encrypt_many(pairs)
            per_s = items / (time.perf_counter() - started)
            failed = sum(isinstance(result, ServiceError) for result in results)
            return {"per_s": per_s, "calls": items, "failed": failed}

        return self._metered(measured)

    def _passwords(self, client: Client) -> Measured | None:
        """The password lane's rate; None when no worker of that lane answers."""

        def call() -> None:
            client.hash_password(next(self._users), "x" * DATA_BYTES)

        try:
            client.hash_password(next(self._users), "", timeout_s=PASSWORD_WORKER_S)
        except ServiceError:
            return None

        def measured() -> Measured:
            return rate(measure.rate(call, PASSWORD_CALLERS, 2 * self._scale.seconds))

        return {"lane": Lane.PASSWORD.value, "callers": PASSWORD_CALLERS, **self._metered(measured)}


def made_up_users() -> Iterator[str]:
    """User UUIDs that no other run has; safe to draw from in several threads."""
    start = f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-4bec-8{secrets.token_hex(2)[1:]}-"
    # Not a generator: two threads at once may not draw from one.
    return map((start + "{:012x}").format, itertools.count())


def lone(taken: measure.Latency, seconds: float) -> Measured:
    """One caller's measurement."""
    return {**taken.to_dict(), "per_s": taken.calls / seconds, "failed": 0}


def rate(taken: measure.Rate) -> Measured:
    """Many callers' measurement; its `calls` are all that CPU was spent on."""
    return {"per_s": taken.per_s, "calls": taken.all_calls, "failed": taken.failed}


def costs(before: Readings, after: Readings, calls: int) -> Measured:
    """CPU microseconds a call; None where a side could not be read."""
    return {
        "client_cpu_us": _each_us(before.client_s, after.client_s, calls),
        "worker_cpu_us": _each_us(before.worker_s, after.worker_s, calls),
        "broker_cpu_us": _each_us(before.broker_s, after.broker_s, calls),
    }


def _each_us(before_s: float | None, after_s: float | None, calls: int) -> float | None:
    if before_s is None or after_s is None:
        return None
    return US_PER_S * max(0.0, after_s - before_s) / max(1, calls)
