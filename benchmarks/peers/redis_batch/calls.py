"""A batched Redis list loop, the callers: what gathers while two pushes are under way goes in one.

No sealing, no authentication, no validation, no deadline, no resend and no Celery: what is left is
the least that batching over a Redis list can cost in Python.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import uuid
from typing import Any

import redis

MAX_BATCH = 500
MAX_UNDER_WAY = 2


def connect() -> redis.Redis:
    # No socket timeout: redis-py's own, 5 s, ends a thread that waits for replies.
    return redis.Redis.from_url(os.environ["BENCH_REDIS"], socket_timeout=None)


class Calls:
    """See `benchmarks.driver.Contender`."""

    def __init__(self) -> None:
        self._key = "batch:" + uuid.uuid4().hex
        self._sender = connect()
        self._receiver = connect()
        self._lock = threading.Lock()
        self._waiting: list[tuple[tuple[str, str], Any]] = []
        self._under_way: dict[int, list[tuple[tuple[str, str], Any]]] = {}
        self._number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        threading.Thread(target=self._receive, daemon=True).start()

    async def start(self, callers: int) -> None:
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        self._loop = None

    def call(self, user_uuid: str, data: str) -> str:
        latch = threading.Lock()
        latch.acquire()
        waiter = [latch, ""]
        self._add(((user_uuid, data), waiter))
        if not latch.acquire(timeout=20):
            raise TimeoutError
        return waiter[1]  # type: ignore[return-value]

    async def acall(self, user_uuid: str, data: str) -> str:
        future = asyncio.get_running_loop().create_future()
        self._add(((user_uuid, data), future))
        value: str = await future
        return value

    def many(self, pairs: list[tuple[str, str]]) -> list[str]:
        latch = threading.Lock()
        latch.acquire()
        portions = [pairs[start : start + MAX_BATCH] for start in range(0, len(pairs), MAX_BATCH)]
        client = connect()
        key = self._key + ":many"
        values: list[str] = []
        for number, portion in enumerate(portions):
            client.rpush("batch:requests", json.dumps((key, number, portion)))
            if number >= MAX_UNDER_WAY:
                values += json.loads(client.blpop([key], 20)[1])[1]
        for _ in range(min(MAX_UNDER_WAY, len(portions))):
            values += json.loads(client.blpop([key], 20)[1])[1]
        return values

    def _add(self, entry: tuple[tuple[str, str], Any]) -> None:
        with self._lock:
            self._waiting.append(entry)
            self._send()

    def _send(self) -> None:
        while self._waiting and len(self._under_way) < MAX_UNDER_WAY:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            self._number += 1
            self._under_way[self._number] = batch
            message = json.dumps((self._key, self._number, [item for item, _ in batch]))
            self._sender.rpush("batch:requests", message)

    def _receive(self) -> None:
        while True:
            popped = self._receiver.blpop([self._key], 5)
            if popped is None:
                continue
            number, answers = json.loads(popped[1])
            with self._lock:
                batch = self._under_way.pop(number)
                self._send()
            tasks = []
            for (_, waiter), answer in zip(batch, answers, strict=True):
                if isinstance(waiter, list):
                    waiter[1] = answer
                    waiter[0].release()
                else:
                    tasks.append((waiter, answer))
            if tasks and self._loop is not None:
                self._loop.call_soon_threadsafe(_resolve, tasks)


def _resolve(tasks: list[tuple[asyncio.Future[str], str]]) -> None:
    for future, answer in tasks:
        if not future.done():
            future.set_result(answer)
