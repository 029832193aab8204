"""The bars of the comparison: which figure against which, and whether it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from benchmarks.contenders import BY_NAME

Samples = dict[str, dict[str, list[dict[str, Any]]]]
QUEUES: Final = ("dramatiq", "arq", "saq", "taskiq", "rq", "huey")
MODES: Final = ("threads", "asyncio")
AT_MOST, AT_LEAST = "at most", "at least"


@dataclass(frozen=True)
class Row:
    """One line of the table of ratios.

    Attributes:
        what: what was measured of this service.
        against: what it is compared with.
        value: the ratio of the medians, or a figure with a unit.
        lowest, highest: of the single rounds' ratios.
        direction: `AT_MOST` or `AT_LEAST` the bar.
    """

    what: str
    against: str
    value: float
    lowest: float
    highest: float
    unit: str
    direction: str
    bar: float

    @property
    def is_met(self) -> bool:
        return self.value <= self.bar if self.direction == AT_MOST else self.value >= self.bar

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "is_met": self.is_met}


def middle(samples: Samples, name: str, measurement: str, figure: str = "per_s") -> float:
    """The median of all rounds.

    Raises:
        LookupError: it was not measured.
    """
    return float(median(sample[figure] for sample in samples[name][measurement]))


def fastest_mode(samples: Samples, name: str, callers: int = 64) -> str:
    """Threads or asyncio, whichever of them gave more answers a second."""
    found = [f"{mode}.{callers}" for mode in MODES if f"{mode}.{callers}" in samples[name]]
    return max(found, key=lambda measurement: middle(samples, name, measurement))


def _ratio(
    samples: Samples, ours: tuple[str, str], theirs: tuple[str, str], figure: str
) -> tuple[float, float, float]:
    pairs = zip(samples[ours[0]][ours[1]], samples[theirs[0]][theirs[1]], strict=False)
    single = [mine[figure] / other[figure] for mine, other in pairs]
    value = middle(samples, *ours, figure) / middle(samples, *theirs, figure)
    return value, min(single), max(single)


def _one_caller(samples: Samples, peer: str, bar: float) -> Row:
    ratio = _ratio(samples, ("caas", "threads.1"), (peer, "threads.1"), "p50_ms")
    return Row("one caller, p50", BY_NAME[peer].title, *ratio, "times", AT_MOST, bar)


def _many_callers(samples: Samples, ours: str, peer: str, bar: float) -> Row:
    mine, theirs = fastest_mode(samples, ours), fastest_mode(samples, peer)
    ratio = _ratio(samples, (ours, mine), (peer, theirs), "per_s")
    through = "" if ours == "caas" else ", through the gateway over HTTP"
    what = f"64 callers in one process ({mine.partition('.')[0]}){through}, calls/s"
    against = f"{BY_NAME[peer].title} ({theirs.partition('.')[0]})"
    return Row(what, against, *ratio, "times", AT_LEAST, bar)


def _fastest_queue(samples: Samples) -> Row:
    measured = [name for name in QUEUES if name in samples]
    best = max(measured, key=lambda name: middle(samples, name, fastest_mode(samples, name)))
    return _many_callers(samples, "caas", best, 8.0)


def _encrypt_many(samples: Samples) -> Row:
    ratio = _ratio(samples, ("caas", "many"), ("in_process", "many"), "per_s")
    items = samples["caas"]["many"][0]["calls"]
    what = f"`encrypt_many` of {items:,}, items/s"
    return Row(what, "the batch function in process", *ratio, "times", AT_LEAST, 0.6)


def _client_processes(samples: Samples) -> Row:
    ratio = _ratio(samples, ("caas", "processes.8"), ("celery", "processes.8"), "per_s")
    what = "8 client processes, one call at a time each, calls/s"
    return Row(what, BY_NAME["celery"].title, *ratio, "times", AT_LEAST, 3.0)


def _two_workers(samples: Samples) -> Row:
    ratio = _ratio(samples, ("caas", "workers.2"), ("caas", "workers.1"), "worker_cpu_us")
    what = "2 worker processes, CPU time an item"
    return Row(what, "1 worker process", *ratio, "times", AT_MOST, 1.1)


def _figure(name: str, what: str, unit: str, bar: float) -> Callable[[Samples], Row]:
    def row(samples: Samples) -> Row:
        values = [sample["value"] for sample in samples["figures"][name]]
        return Row(what, "", median(values), min(values), max(values), unit, AT_MOST, bar)

    return row


_ROWS: Final[tuple[Callable[[Samples], Row], ...]] = (
    lambda samples: _one_caller(samples, "celery", 0.35),
    lambda samples: _one_caller(samples, "redis_list", 2.2),
    lambda samples: _many_callers(samples, "caas", "celery", 30.0),
    _fastest_queue,
    lambda samples: _many_callers(samples, "caas", "starlette", 3.0),
    lambda samples: _many_callers(samples, "caas", "redis_batch", 0.6),
    lambda samples: _many_callers(samples, "gateway", "django", 2.5),
    _encrypt_many,
    _client_processes,
    _two_workers,
    _figure("waiting_mib", "client memory with 10,000 waiting calls, above idle", "MiB", 100.0),
    _figure("start_s", "`caas up` until ready", "s", 5.0),
    _figure("import_s", "`import producer_client`", "s", 0.5),
)


def rows(samples: Samples) -> list[Row]:
    """The rows whose figures were measured."""
    found = []
    for make in _ROWS:
        try:
            found.append(make(samples))
        except (LookupError, ValueError):  # a contender was left out or failed
            continue
    return found
