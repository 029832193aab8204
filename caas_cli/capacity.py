"""From a target to machines: workers, brokers and memory, by a queueing model of docs/capacity.md.

Pure: figures in, a plan out. A lane with `c` workers is an M/M/c queue (Erlang C), whose tail is
longer than that of the real one, where service times hardly vary and waiting calls share messages.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from caas_cli.exit_codes import CommandError, ExitCode, UsageError

MAX_UTILISATION: Final = 0.7
"""Share of its time that a worker may be busy: the rest is for bursts, for the loss of one worker
among several, and for what the model leaves out."""

MAX_BROKER_UTILISATION: Final = 0.5
"""The same of a broker, whose one thread every call passes four times."""

MAX_WORKERS: Final = 10_000
"""Above this a target is taken for a slip of the pen."""

QUANTILE: Final = 0.99
_S_PER_MS: Final = 1e-3
_S_PER_US: Final = 1e-6
_KIB_PER_MIB: Final = 1_024


@dataclass(frozen=True, slots=True)
class Target:
    """What the service must carry.

    Attributes:
        calls_per_s: all calls, at the busiest minute.
        password_share: the part of them that are `hash_password` or `verify_password`, 0 to 1.
        p99_ms: what 99 of 100 fast calls must stay under, at the client.
    """

    calls_per_s: float
    password_share: float
    p99_ms: float

    def __post_init__(self) -> None:
        if not 0 < self.calls_per_s < math.inf:
            raise UsageError("calls a second must be more than 0")
        if not 0 <= self.password_share <= 1:
            raise UsageError("the share of passwords lies between 0 and 1")
        if not 0 < self.p99_ms < math.inf:
            raise UsageError("p99 must be more than 0 milliseconds")


@dataclass(frozen=True, slots=True)
class Figures:
    """What one installation measured of itself.

    Attributes:
        lone_call_ms: p50 of one caller with nothing else under way.
        worker_us: CPU of a worker for a fast call, one item a message.
        broker_us: CPU of the broker for the same.
        password_cpu_ms: CPU of one password hash.
        password_memory_kib: memory of one password hash.
        worker_rss_kib: resident memory of a worker process.
        message_bytes: what one waiting message takes in the broker.
    """

    lone_call_ms: float
    worker_us: float
    broker_us: float
    password_cpu_ms: float
    password_memory_kib: int
    worker_rss_kib: int
    message_bytes: int

    def __post_init__(self) -> None:
        if not all(0 < value < math.inf for value in asdict(self).values()):
            raise UsageError("every figure must be more than 0")


@dataclass(frozen=True, slots=True)
class Plan:
    """What carries a target, without spare for the loss of a machine.

    Attributes:
        fast_workers: worker processes of the fast lane; each fills one core at most.
        fast_p99_ms: what the model expects of fast calls then.
        password_cores: cores of password workers.
        password_concurrency: hashes that run at once in all of them.
        brokers: broker shards.
        worker_memory_mib: of all workers together.
        broker_memory_mib: of waiting messages in each broker, should a lane stand for `STALL_S`.
    """

    fast_workers: int
    fast_utilisation: float
    fast_p99_ms: float
    password_cores: int
    password_utilisation: float
    password_concurrency: int
    brokers: int
    broker_utilisation: float
    worker_memory_mib: int
    broker_memory_mib: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


STALL_S: Final = 10.0
"""How long a lane may stand, all its workers gone, within the broker memory that was planned."""


def plan(target: Target, figures: Figures) -> Plan:
    """The smallest installation that carries the target.

    Raises:
        CommandError: no number of workers does: even a lone call takes longer than p99.
    """
    passwords_per_s = target.calls_per_s * target.password_share
    fast_per_s = target.calls_per_s - passwords_per_s
    service_s = figures.worker_us * _S_PER_US
    budget_s = (target.p99_ms - figures.lone_call_ms) * _S_PER_MS
    if budget_s <= 0:
        raise CommandError(
            f"a lone call takes {figures.lone_call_ms:.2f} ms here: no number of workers brings "
            "p99 below that",
            ExitCode.NEGATIVE,
        )
    workers = _workers(fast_per_s, service_s, budget_s)
    wait_s = wait_quantile_s(fast_per_s, service_s, workers, QUANTILE)
    password_load = passwords_per_s * figures.password_cpu_ms * _S_PER_MS
    cores = math.ceil(password_load / MAX_UTILISATION)
    broker_load = target.calls_per_s * figures.broker_us * _S_PER_US
    brokers = max(1, math.ceil(broker_load / MAX_BROKER_UTILISATION))
    processes_kib = (workers + cores) * figures.worker_rss_kib
    hashes_kib = cores * figures.password_memory_kib
    waiting_bytes = target.calls_per_s / brokers * STALL_S * figures.message_bytes
    return Plan(
        fast_workers=workers,
        fast_utilisation=fast_per_s * service_s / workers,
        fast_p99_ms=figures.lone_call_ms + wait_s / _S_PER_MS,
        password_cores=cores,
        password_utilisation=password_load / cores if cores else 0.0,
        password_concurrency=cores,
        brokers=brokers,
        broker_utilisation=broker_load / brokers,
        worker_memory_mib=math.ceil((processes_kib + hashes_kib) / _KIB_PER_MIB),
        broker_memory_mib=math.ceil(waiting_bytes / _KIB_PER_MIB**2),
    )


def _workers(per_s: float, service_s: float, budget_s: float) -> int:
    fewest = max(1, math.ceil(per_s * service_s / MAX_UTILISATION))
    for workers in range(fewest, MAX_WORKERS + 1):
        if wait_quantile_s(per_s, service_s, workers, QUANTILE) <= budget_s:
            return workers
    raise CommandError(f"more than {MAX_WORKERS:,} workers would be needed", ExitCode.NEGATIVE)


def wait_quantile_s(per_s: float, service_s: float, workers: int, quantile: float) -> float:
    """How long a share `quantile` of calls waits at most before a worker takes it, in seconds.

    M/M/c: P(wait > t) = C(c, a) · exp(-(c - a) · t / service), with a the offered load and C
    Erlang's second formula. Infinite when the workers can't keep up.
    """
    load = per_s * service_s
    if load >= workers:
        return math.inf
    waits = erlang_c(workers, load)
    if waits <= 1 - quantile:
        return 0.0
    return math.log(waits / (1 - quantile)) * service_s / (workers - load)


def erlang_c(workers: int, load: float) -> float:
    """Share of calls that must wait, by Erlang's second formula.

    Args:
        load: offered load in erlangs (calls a second times seconds a call), below `workers`.
    """
    blocked = 1.0  # Erlang B by its recursion, which neither overflows nor cancels
    for count in range(1, workers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1 - load / workers * (1 - blocked))
