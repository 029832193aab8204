"""saq: its Redis queue, which notifies callers by publish and subscribe."""

from __future__ import annotations

import os
from typing import Any

from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

from benchmarks import work

URL = os.environ["BENCH_REDIS"]


def new_queue() -> RedisQueue:
    # Not `Queue.from_url`, which knows no Unix sockets.
    return RedisQueue(Redis.from_url(URL))


async def digest(_ctx: Any, *, user_uuid: str, data: str) -> str:
    return work.digest(user_uuid, data)


if os.environ.get("BENCH_SAQ_WORKER"):
    settings = {
        "queue": new_queue(),
        "functions": [digest],
        "concurrency": int(os.environ.get("BENCH_SAQ_JOBS", "64")),
    }
