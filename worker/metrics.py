"""What a worker counts for Prometheus: requests, items and errors, times by stage, its state.

An observer of every request (see `worker.outcome`). Labels are few and bounded: operations and
error codes are this project's, tenants those of the keystore; nothing that a request brings is one.
docs/observability.md has the table of metrics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from caas_tasks import message_id
from worker.keyring import Keyring
from worker.outcome import Outcome

STAGES: Final = ("wait", "open", "work", "seal")
SECONDS: Final = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)
"""Upper bounds of the histograms' buckets: an operation takes some ten microseconds, a password
some ten milliseconds, and a wait up to a caller's deadline."""

STATE_INTERVAL_S: Final = 1.0
"""How often the state of the process is looked at while requests come, in seconds."""


class WorkerMetrics:
    """Counts every request.

    Args:
        registry: where the metrics are found; None where they are kept in files that processes
            share, and found there.
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
        self._duration = Histogram(
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
        self._wait, self._open, self._work, self._seal = map(stages.labels, STAGES)
        self._sessions = Gauge(
            "caas_sessions",
            "Opened sessions in memory.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._key_version = Gauge(
            "caas_primary_key_version",
            "The key version that makes new values.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._enabled = Gauge(
            "caas_enabled_key_versions",
            "Key versions that can be used.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._monotonic = monotonic
        self._looked_at = float("-inf")
        # Looking a labelled metric up costs as much as counting: each is looked up once.
        self._counters: dict[tuple[Counter, str, str], Counter] = {}
        self._tenants: dict[str, Counter] = {}
        self._durations: dict[str, Histogram] = {}
        self.keyring: Callable[[], Keyring] | None = None

    def observe(self, outcome: Outcome) -> None:
        """Count a request."""
        operation = outcome.operation.value
        self._count(self._requests, operation, outcome.refusal or "ok", 1)
        if outcome.refusal is None:
            for code, count in outcome.codes.items():
                self._count(self._items, operation, code, count)
        if outcome.tenant is not None and outcome.items:
            self._count_tenant(outcome.tenant, outcome.items)
        self._time(operation, outcome)
        if self._monotonic() - self._looked_at >= STATE_INTERVAL_S:
            self.look()

    def look(self) -> None:
        """Bring the gauges of this process's state up to date."""
        self._looked_at = self._monotonic()
        if self.keyring is None:
            return
        keyring = self.keyring()
        self._sessions.set(keyring.session_count)
        self._key_version.set(keyring.primary)
        self._enabled.set(keyring.enabled_versions)

    def _count(self, counter: Counter, operation: str, code: str, count: int) -> None:
        key = (counter, operation, code)
        child = self._counters.get(key)
        if child is None:
            child = self._counters[key] = counter.labels(operation, code)
        child.inc(count)

    def _count_tenant(self, tenant: str, items: int) -> None:
        child = self._tenants.get(tenant)
        if child is None:
            child = self._tenants[tenant] = self._tenant_items.labels(tenant)
        child.inc(items)

    def _time(self, operation: str, outcome: Outcome) -> None:
        duration = self._durations.get(operation)
        if duration is None:
            duration = self._durations[operation] = self._duration.labels(operation)
        duration.observe(outcome.duration_s)
        if outcome.codes.keys() == {"unreadable"}:
            return  # neither its id nor its stages say anything
        waited_s = message_id.age_s(outcome.message_id, outcome.at_ms)
        if waited_s is not None:
            self._wait.observe(waited_s)
        stages = outcome.stages
        self._open.observe(stages.open_s)
        self._work.observe(stages.work_s)
        self._seal.observe(stages.seal_s)
