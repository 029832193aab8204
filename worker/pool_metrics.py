"""Prometheus' view of a worker process as Celery runs it: its pool, lanes and version."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import Any

from celery.worker import state
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from caas_tasks.lanes import short_name
from caas_tasks.names import Lane


class PoolCollector(Collector):
    """Reads a running consumer when it is asked.

    Args:
        consumer: Celery's, once it is ready.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    def describe(self) -> list[Any]:
        """Nothing: the consumer is looked at by scrapes alone."""
        return []

    def collect(self) -> Iterator[Any]:
        """The metrics."""
        pool = self._consumer.pool
        yield InfoMetricFamily(
            "caas_worker",
            "The worker's release and kind of pool.",
            {
                "version": metadata.version("caas"),
                "pool": type(pool).__module__.rpartition(".")[2],
            },
        )
        yield GaugeMetricFamily(
            "caas_pool_slots", "Requests that can be worked on at once.", pool.num_processes
        )
        yield GaugeMetricFamily(
            "caas_pool_busy",
            "Requests that Celery's pool works on now; those of the direct way are not counted.",
            len(state.active_requests),
        )
        lanes = GaugeMetricFamily(
            "caas_worker_lane", "1 for each lane that this worker takes from.", labels=["lane"]
        )
        consumed = {queue.name for queue in self._consumer.task_consumer.queues}
        for lane in Lane:
            if lane.value in consumed:
                lanes.add_metric([short_name(lane)], 1)
        yield lanes
