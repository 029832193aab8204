"""dramatiq: Redis broker, Redis results, no middleware that the work has no use for."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks import work

URL = os.environ["BENCH_REDIS"]
backend = RedisBackend(url=URL)
broker = RedisBroker(url=URL, middleware=[Results(backend=backend)])
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def digest(user_uuid: str, data: str) -> str:
    return work.digest(user_uuid, data)
