"""Calls of RQ: enqueue, then block for the latest result."""

from __future__ import annotations

import os

import redis
from rq import Queue

from benchmarks import work


class Calls:
    """See `benchmarks.driver.Contender`."""

    def __init__(self) -> None:
        connection = redis.Redis.from_url(os.environ["BENCH_REDIS"])
        self._queue = Queue("bench", connection=connection, serializer="json")

    def call(self, user_uuid: str, data: str) -> str:
        job = self._queue.enqueue(work.digest, user_uuid, data, result_ttl=60)
        result = job.latest_result(timeout=20)
        if result is None:
            raise TimeoutError
        value: str = result.return_value
        return value
