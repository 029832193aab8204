"""Health: `/healthz` says that the process answers, `/readyz` that requests get answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from starlette.types import Receive, Scope, Send

from caas_tasks.errors import ServiceError
from gateway import problems
from gateway.responses import JSON, send_body
from gateway.routes import ClientSlot

PING_TIMEOUT_S: Final = 2.0
"""How long a probe waits for a worker, in seconds."""

CACHE_S: Final = 1.0
"""How long a probe's outcome answers others, in seconds: a flood of them costs one message."""


def alive() -> bytes:
    """What `/healthz` answers while the process runs."""
    return b'{"status":"alive"}'


class Readiness:
    """Answers `/readyz`; probes that come together wait for one ping.

    Args:
        monotonic: seconds that never go back.
    """

    def __init__(self, slot: ClientSlot, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._slot = slot
        self._monotonic = monotonic
        self._under_way: asyncio.Task[ServiceError | None] | None = None
        self._outcome: ServiceError | None = None
        self._known_until_s = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a probe."""
        obstacle = await self._obstacle()
        if obstacle is None:
            await send_body(send, 200, JSON, b'{"status":"ready"}')
        else:
            await problems.not_ready(obstacle).send(send)

    async def _obstacle(self) -> ServiceError | None:
        if self._monotonic() < self._known_until_s:
            return self._outcome
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(self._ping())
        # Shielded: a probe that hangs up must not cancel the ping that others wait for.
        return await asyncio.shield(self._under_way)

    async def _ping(self) -> ServiceError | None:
        outcome: ServiceError | None = None
        try:
            await self._slot.get().ping(timeout_s=PING_TIMEOUT_S)
        except ServiceError as error:
            outcome = error.with_traceback(None)
        self._outcome = outcome
        self._known_until_s = self._monotonic() + CACHE_S
        return outcome
