"""What watches a worker, as its settings ask: metrics, and whatever else is told of requests.

The main process listens for Prometheus before anything forks and serves once the worker is ready; a
pool's processes count in files that the main process adds up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from caas_tasks.metrics_server import MetricsServer, is_shared, share_values
from worker.keyring import Keyring
from worker.outcome import Observer
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from worker.metrics import WorkerMetrics


class Watch:
    """The observers of one worker, kept over a fork."""

    def __init__(self) -> None:
        self._server: MetricsServer | None = None
        self._registry: CollectorRegistry | None = None
        self._metrics: WorkerMetrics | None = None
        self._settings: WorkerSettings | None = None
        self._pid = 0

    def prepare(self, settings: WorkerSettings, pool: str) -> None:
        """Listen for Prometheus and make the metrics, if a port is set. In the main process.

        Args:
            pool: the pool's class or its path.

        Raises:
            ConfigurationError: the port can't be had, or the folder of values can't be made.
        """
        self._settings = settings
        if not settings.metrics_port or self._server is not None:
            return
        if settings.metrics_dir is not None or "prefork" in pool:
            share_values(settings.metrics_dir)
        from prometheus_client import CollectorRegistry

        from worker.metrics import WorkerMetrics

        self._server = MetricsServer(settings)
        self._registry = CollectorRegistry()
        # Values in files are found there, this process's own among them.
        self._metrics = WorkerMetrics(None if is_shared() else self._registry, time.monotonic)
        self._pid = os.getpid()

    def observers(self, keyring: Callable[[], Keyring]) -> list[Observer]:
        """Those of this process.

        Raises:
            ConfigurationError: traces are asked for and OpenTelemetry is not installed.
        """
        found: list[Observer] = []
        if self._metrics is not None:
            self._metrics.watch(keyring)
            found.append(self._metrics)
        if self._settings is not None and self._settings.tracing:
            from caas_tasks.trace_export import open_provider
            from worker.tracing import TraceObserver

            provider = open_provider("caas-worker", self._settings.trace_ratio)
            found.append(TraceObserver(provider.get_tracer("caas")))
        return found

    def serve(self, consumer: Any) -> None:
        """Answer scrapes from now on.

        Args:
            consumer: Celery's, ready.
        """
        if self._server is None or self._registry is None or self._settings is None:
            return
        if self._metrics is None:
            return
        from prometheus_client import PlatformCollector, ProcessCollector
        from prometheus_client.multiprocess import MultiProcessCollector

        from caas_tasks.lane_metrics import LaneCollector
        from worker.pool_metrics import PoolCollector

        if is_shared():
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call] # it has no types
        else:
            ProcessCollector(registry=self._registry)
            PlatformCollector(registry=self._registry)
        self._registry.register(PoolCollector(consumer))
        self._registry.register(LaneCollector(self._settings.brokers()))
        self._server.start(self._registry, self._metrics.hand_over)

    def stop(self) -> None:
        """Answer no more; a child leaves its parent's server alone."""
        if self._server is not None and self._pid == os.getpid():
            self._server.stop()
            self._server = None

    def forget_process(self, pid: int) -> None:
        """A pool's process has ended: its gauges count no more, its counters stay."""
        if is_shared():
            from prometheus_client.multiprocess import mark_process_dead

            mark_process_dead(pid)  # type: ignore[no-untyped-call] # it ships without
