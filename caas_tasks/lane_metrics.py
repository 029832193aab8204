"""Prometheus' view of the lanes, read from the broker when it is asked for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import redis
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from caas_tasks.lanes import Backlog, look, short_name
from caas_tasks.redis_connection import connect
from caas_tasks.redis_url import BrokerUrl

TIMEOUT_S: Final = 2.0
CACHE_S: Final = 1.0
"""How long one look answers further scrapes, in seconds."""

logger = logging.getLogger(__name__)


class LaneCollector(Collector):
    """Lengths and ages of the lanes of one broker or several; none while one can't be reached.

    `caas_broker_up` says which one that is.

    Args:
        monotonic: seconds that never go back.
    """

    def __init__(
        self, brokers: tuple[BrokerUrl, ...], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._brokers = brokers
        self._clients: dict[str, redis.Redis] = {}
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen: list[tuple[str, Backlog | None]] = []
        self._seen_at = float("-inf")

    def describe(self) -> list[Any]:
        """Nothing: registering must not ask the broker."""
        return []

    def collect(self) -> Iterator[Any]:
        """The metrics."""
        up = GaugeMetricFamily("caas_broker_up", "1 when the broker answers.", labels=["broker"])
        length = GaugeMetricFamily(
            "caas_lane_length", "Messages that wait on a lane.", labels=["broker", "lane"]
        )
        age = GaugeMetricFamily(
            "caas_lane_oldest_age_seconds",
            "Age of the message that waits longest on a lane.",
            labels=["broker", "lane"],
        )
        jobs = GaugeMetricFamily(
            "caas_bulk_jobs_open", "Messages of bulk jobs without a result.", labels=["broker"]
        )
        for broker, backlog in self._look():
            up.add_metric([broker], 0 if backlog is None else 1)
            if backlog is None:
                continue
            jobs.add_metric([broker], backlog.open_jobs)
            for state in backlog.lanes:
                labels = [broker, short_name(state.lane)]
                length.add_metric(labels, state.length)
                if state.oldest_age_s is not None:
                    age.add_metric(labels, state.oldest_age_s)
        yield from (up, length, age, jobs)

    def _look(self) -> list[tuple[str, Backlog | None]]:
        with self._lock:
            if self._monotonic() - self._seen_at >= CACHE_S:
                self._seen = [(broker.display, self._ask(broker)) for broker in self._brokers]
                self._seen_at = self._monotonic()
            return self._seen

    def _ask(self, broker: BrokerUrl) -> Backlog | None:
        try:
            client = self._clients.get(broker.display)
            if client is None:
                client = connect(broker, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
                self._clients[broker.display] = client
            return look(client, lambda: time.time_ns() // 1_000_000)
        except (redis.RedisError, OSError) as error:
            logger.warning(
                "the lanes of %s are not known: %s", broker.display, type(error).__name__
            )
            return None
