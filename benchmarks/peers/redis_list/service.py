"""A bare Redis list loop, the worker: pop a request, push its answer."""

from __future__ import annotations

import json
import os

import redis

from benchmarks import work


def main() -> None:
    # No socket timeout: redis-py's own, 5 s, would end a worker that waits for work.
    client = redis.Redis.from_url(os.environ["BENCH_REDIS"], socket_timeout=None)
    while True:
        popped = client.blpop(["list:requests"], 5)
        if popped is None:
            continue
        reply_key, user_uuid, data = json.loads(popped[1])
        client.rpush(reply_key, work.digest(user_uuid, data))


if __name__ == "__main__":
    main()
