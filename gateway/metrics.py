"""What the gateway counts for Prometheus, served on a port of its own.

Labels are this project's routes and HTTP's status numbers: nothing that a request brings is one.
Each error code has its own status (docs/spec.md, section 7).
"""

from __future__ import annotations

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.multiprocess import MultiProcessCollector

from caas_tasks.metrics_server import MetricsServer, is_shared, share_values
from caas_tasks.metrics_settings import MetricsSettings

SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds of the histogram's buckets: a call takes about a millisecond, a password more."""


class GatewayMetrics:
    """Counts every request of the gateway.

    Raises:
        ConfigurationError: the port can't be had, or the folder of values can't be made.
    """

    def __init__(self, settings: MetricsSettings) -> None:
        if settings.metrics_dir is not None:
            share_values(settings.metrics_dir)
        self._server = MetricsServer(settings)
        self._registry = CollectorRegistry()
        found = None if is_shared() else self._registry
        self._requests = Counter(
            "caas_gateway_requests",
            "HTTP requests by route and status.",
            ["route", "status"],
            registry=found,
        )
        self._duration = Histogram(
            "caas_gateway_request_duration_seconds",
            "From a request's headers to its answer's last byte, by route.",
            ["route"],
            buckets=SECONDS,
            registry=found,
        )

    def observe(self, route: str, status: int, took_s: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._duration.labels(route).observe(took_s)

    def start(self) -> None:
        """Answer scrapes from now on."""
        if is_shared():
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call] # it has no types
        else:
            ProcessCollector(registry=self._registry)
            PlatformCollector(registry=self._registry)
        self._server.start(self._registry)

    def stop(self) -> None:
        """Answer no more."""
        self._server.stop()
