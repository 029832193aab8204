"""Calls of arq."""

from __future__ import annotations

import asyncio
from typing import Any

from arq import create_pool

from benchmarks.peers.arq.app import POLL_S, SETTINGS


class Calls:
    """See `benchmarks.driver.Contender`."""

    def __init__(self) -> None:
        self._pool: Any = None

    async def start(self, _callers: int) -> None:
        self._pool = await create_pool(SETTINGS)

    async def acall(self, user_uuid: str, data: str) -> str:
        job = await self._pool.enqueue_job("digest", user_uuid, data)
        value: str = await job.result(timeout=20, poll_delay=POLL_S)
        return value

    async def stop(self) -> None:
        await self._pool.aclose()
        await asyncio.sleep(0)
