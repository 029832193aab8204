"""Calls of taskiq: `kiq`, then `wait_result`."""

from __future__ import annotations

from typing import Any

from taskiq.kicker import AsyncKicker

from benchmarks.peers.taskiq.app import POLL_S, new_broker


class Calls:
    """See `benchmarks.driver.Contender`."""

    def __init__(self) -> None:
        self._broker: Any = None

    async def start(self, _callers: int) -> None:
        self._broker = new_broker()
        await self._broker.startup()

    async def acall(self, user_uuid: str, data: str) -> str:
        kicker: Any = AsyncKicker("digest", self._broker, {})
        task = await kicker.kiq(user_uuid, data)
        result = await task.wait_result(check_interval=POLL_S, timeout=20)
        value: str = result.return_value
        return value

    async def stop(self) -> None:
        await self._broker.shutdown()
