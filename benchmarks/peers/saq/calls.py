"""Calls of saq: `apply` enqueues and waits."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.saq.app import new_queue


class Calls:
    """See `benchmarks.driver.Contender`."""

    def __init__(self) -> None:
        self._queue: Any = None

    async def start(self, _callers: int) -> None:
        self._queue = new_queue()
        await self._queue.connect()

    async def acall(self, user_uuid: str, data: str) -> str:
        value: str = await self._queue.apply(
            "digest", timeout=20, poll_interval=0.005, user_uuid=user_uuid, data=data
        )
        return value

    async def stop(self) -> None:
        await self._queue.disconnect()
