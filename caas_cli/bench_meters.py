"""What a call costs the others: CPU of workers, as Celery's remote control says, and of brokers.

Both are asked over the broker, so that workers on other hosts count too. Where the broker's rights
keep a client from asking, there is no figure, and the rest is measured all the same.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import redis

from caas_tasks.celery_app import create_app
from caas_tasks.redis_connection import connect
from caas_tasks.redis_url import BrokerUrl
from caas_tasks.settings import read_brokers

ASK_S: Final = 2.0
"""How long workers have to answer, in seconds; only the first questions wait as long."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Readings:
    """CPU seconds since each process began; None where they can't be told."""

    client_s: float
    worker_s: float | None
    broker_s: float | None


class Meters:
    """Reads the CPU time of this process, of all workers and of all brokers.

    Attributes:
        workers: how many answered at first; 0 when none could be asked.
        worker_rss_kib: the largest resident memory among them; 0 when unknown.
    """

    def __init__(self, broker_urls: str) -> None:
        self._brokers = read_brokers(broker_urls)
        self._apps = [create_app(broker) for broker in self._brokers]
        self._names = [self._find(app) for app in self._apps]
        self.workers = sum(map(len, self._names))
        self.worker_rss_kib = 0

    def read(self) -> Readings:
        """The three readings now."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        return Readings(own.ru_utime + own.ru_stime, self._worker_s(), self._broker_s())

    def _worker_s(self) -> float | None:
        used_s = 0.0
        for app, names in zip(self._apps, self._names, strict=True):
            # The same workers each time, or a difference would be of two different ones.
            answers = self._stats(app, names) if names else {}
            if not names or answers.keys() != set(names):
                return None
            for answer in answers.values():
                usage = answer.get("rusage", {})
                used_s += usage.get("utime", 0.0) + usage.get("stime", 0.0)
                self.worker_rss_kib = max(self.worker_rss_kib, int(usage.get("maxrss", 0)))
        return used_s

    def _find(self, app: Any) -> list[str]:
        """The names of the workers that answer, asked twice: one may be busy with a password."""
        return sorted({*self._stats(app, None), *self._stats(app, None)})

    @staticmethod
    def _stats(app: Any, names: list[str] | None) -> dict[str, Any]:
        """What each worker says of itself; empty when none can be asked."""
        only = {} if names is None else {"destination": names, "limit": len(names)}
        inspect = app.control.inspect(timeout=ASK_S, **only)
        answers: dict[str, Any] | None = _unless_refused(inspect.stats)
        return answers or {}

    def _broker_s(self) -> float | None:
        used = [_unless_refused(partial(_cpu_s, broker)) for broker in self._brokers]
        known = [each for each in used if each is not None]
        return sum(known) if len(known) == len(used) else None


def _cpu_s(broker: BrokerUrl) -> float:
    with connect(broker, socket_timeout=ASK_S) as client:
        used: Any = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def _unless_refused(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except (redis.RedisError, OSError):
        return None
