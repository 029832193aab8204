"""What a worker counts for Prometheus: requests, items and errors, times by stage, its state.

An observer of every request (see `worker.outcome`). Labels are few and bounded: operations and
error codes are this project's, tenants those of the keystore; nothing that a request brings is one.
docs/observability.md has the table of metrics.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from caas_tasks import message_id
from caas_tasks.errors import UnreadableMessageError
from worker.keyring import Keyring
from worker.outcome import OK, Outcome

STAGES: Final = ("wait", "open", "work", "seal")
SECONDS: Final = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)
"""Upper bounds of the histograms' buckets: an operation takes some ten microseconds, a password
some ten milliseconds, and a wait up to a caller's deadline."""

STATE_INTERVAL_S: Final = 1.0
"""How often the state of the process is looked at while requests come, in seconds."""


class _Times:
    """A histogram's counts since they were last handed over; its own counting takes longer.

    Args:
        histogram: with its labels, and `SECONDS` for its buckets.
    """

    __slots__ = ("_counts", "_histogram", "_sum_s")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._counts = [0] * (len(SECONDS) + 1)
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one time."""
        self._counts[bisect_left(SECONDS, seconds)] += 1
        self._sum_s += seconds

    def hand_over(self) -> None:
        """Give the counts to the histogram."""
        counts, sum_s = self._counts, self._sum_s
        if not any(counts):
            return
        self._counts, self._sum_s = [0] * len(counts), 0.0
        # The library adds one time a call; there is no public way to add many.
        for bucket, count in zip(self._histogram._buckets, counts, strict=True):  # noqa: SLF001
            if count:
                bucket.inc(count)
        self._histogram._sum.inc(sum_s)  # noqa: SLF001 - as above


class WorkerMetrics:
    """Counts every request, cheaply, and hands the counts over when they are asked for.

    Args:
        registry: where the metrics are found; None where they are kept in files that processes
            share, and found there. They are handed over at each request then, since this process
            is not told when they are asked for.
        monotonic: seconds that never go back.
    """

    def __init__(self, registry: CollectorRegistry | None, monotonic: Callable[[], float]) -> None:
        self._requests = Counter(
            "caas_requests",
            "Requests by operation, and the code they were answered with as a whole.",
            ["operation", "code"],
            registry=registry,
        )
        self._items = Counter(
            "caas_items", "Items by operation and code.", ["operation", "code"], registry=registry
        )
        self._tenant_items = Counter(
            "caas_tenant_items", "Items by tenant.", ["tenant"], registry=registry
        )
        self._durations = Histogram(
            "caas_request_duration_seconds",
            "From taking a message to its sealed reply, by operation.",
            ["operation"],
            buckets=SECONDS,
            registry=registry,
        )
        stages = Histogram(
            "caas_stage_duration_seconds",
            "Where the time went: waiting in the lane, opening, working, sealing.",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self._wait, self._open, self._work, self._seal = (
            _Times(stages.labels(stage)) for stage in STAGES
        )
        self._state = StateGauges(registry, monotonic)
        self._is_shared = registry is None
        self._lock = threading.Lock()
        self._counts: dict[tuple[Counter, tuple[str, ...]], int] = {}
        self._times: dict[str, _Times] = {}

    def watch(self, keyring: Callable[[], Keyring]) -> None:
        """Tell of this keyring's state from now on."""
        self._state.keyring = keyring
        self.hand_over()

    def observe(self, outcome: Outcome) -> None:
        """Count a request."""
        operation = outcome.operation.value
        with self._lock:
            self._count(self._requests, operation, outcome.refusal or OK)
            if outcome.refusal is None:
                for code, count in outcome.codes.items():
                    self._count(self._items, operation, code, by=count)
            if outcome.tenant is not None and outcome.items:
                self._count(self._tenant_items, outcome.tenant, by=outcome.items)
            self._time(operation, outcome)
        if self._is_shared:
            self.hand_over(state_is_due=False)

    def hand_over(self, *, state_is_due: bool = True) -> None:
        """Give what was counted to the metrics, and bring the gauges up to date.

        Args:
            state_is_due: now; otherwise once a second.
        """
        with self._lock:
            for (counter, labels), count in self._counts.items():
                if count:
                    counter.labels(*labels).inc(count)
            self._counts = dict.fromkeys(self._counts, 0)
            for times in (self._wait, self._open, self._work, self._seal, *self._times.values()):
                times.hand_over()
        self._state.look(is_due=state_is_due)

    def _count(self, counter: Counter, *labels: str, by: int = 1) -> None:
        key = (counter, labels)
        self._counts[key] = self._counts.get(key, 0) + by

    def _time(self, operation: str, outcome: Outcome) -> None:
        times = self._times.get(operation)
        if times is None:
            times = self._times[operation] = _Times(self._durations.labels(operation))
        times.add(outcome.duration_s)
        if outcome.refusal == UnreadableMessageError.code:
            return  # neither its id nor its stages say anything
        waited_s = message_id.age_s(outcome.message_id, outcome.at_ms)
        if waited_s is not None:
            self._wait.add(waited_s)
        stages = outcome.stages
        self._open.add(stages.open_s)
        self._work.add(stages.work_s)
        self._seal.add(stages.seal_s)


class StateGauges:
    """The state of this process: sessions and key versions.

    Args:
        registry: as of `WorkerMetrics`.
        monotonic: the same.
    """

    def __init__(self, registry: CollectorRegistry | None, monotonic: Callable[[], float]) -> None:
        self._sessions = Gauge(
            "caas_sessions",
            "Opened sessions in memory.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._primary = Gauge(
            "caas_primary_key_version",
            "The key version that makes new values.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._enabled = Gauge(
            "caas_enabled_key_versions",
            "Key versions that are enabled.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._monotonic = monotonic
        self._looked_at = float("-inf")
        self.keyring: Callable[[], Keyring] | None = None

    def look(self, *, is_due: bool) -> None:
        """Bring the gauges up to date, now or once a second."""
        if self.keyring is None:
            return
        now_s = self._monotonic()
        if not is_due and now_s - self._looked_at < STATE_INTERVAL_S:
            return
        self._looked_at = now_s
        keyring = self.keyring()
        self._sessions.set(keyring.session_count)
        self._primary.set(keyring.primary)
        self._enabled.set(keyring.enabled_versions)
