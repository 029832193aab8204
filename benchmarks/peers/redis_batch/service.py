"""A batched Redis list loop, the worker: pop many requests at once, push their answers at once."""

from __future__ import annotations

import json
import os

import redis

from benchmarks import work


def main() -> None:
    # No socket timeout: redis-py's own, 5 s, would end a worker that waits for work.
    client = redis.Redis.from_url(os.environ["BENCH_REDIS"], socket_timeout=None)
    while True:
        popped = client.blpop(["batch:requests"], 5)
        if popped is None:
            continue
        reply_key, number, items = json.loads(popped[1])
        answers = [work.digest(user_uuid, data) for user_uuid, data in items]
        client.rpush(reply_key, json.dumps((number, answers)))


if __name__ == "__main__":
    main()
