"""A bare Redis list loop, the callers: each thread pushes, then pops from a list of its own."""

from __future__ import annotations

import json
import os
import threading
import uuid

import redis


class Calls:
    """See `benchmarks.driver.Contender`."""

    def __init__(self) -> None:
        self._local = threading.local()

    def call(self, user_uuid: str, data: str) -> str:
        local = self._local
        if not hasattr(local, "client"):
            local.client = redis.Redis.from_url(
                os.environ["BENCH_REDIS"], single_connection_client=True, socket_timeout=None
            )
            local.key = "list:" + uuid.uuid4().hex
        local.client.rpush("list:requests", json.dumps((local.key, user_uuid, data)))
        popped = local.client.blpop([local.key], 20)
        value: str = popped[1].decode()
        return value
