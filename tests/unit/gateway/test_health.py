"""Liveness and readiness."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from caas_tasks.errors import (
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
    UnreadableMessageError,
)
from gateway.health import CACHE_S, Readiness
from gateway.routes import ClientSlot

pytestmark = pytest.mark.anyio


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def probe(readiness: Readiness) -> int:
    """The status of one probe."""
    statuses: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Any:
        raise AssertionError("a probe has no body")

    await readiness({"type": "http"}, receive, send)
    return statuses[0]


async def test_alive_needs_nobody(scripted: Any, http: httpx.AsyncClient) -> None:
    """`/healthz` is about this process alone."""
    scripted.ping_outcome = ServiceUnavailableError()
    response = await http.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})
    assert scripted.pings == 0


async def test_ready_when_a_ping_comes_back(http: httpx.AsyncClient) -> None:
    """`/readyz` is 200 when broker, worker and keys fit."""
    response = await http.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


async def test_head_is_answered_too(http: httpx.AsyncClient) -> None:
    """Probes may use HEAD."""
    assert (await http.head("/readyz")).status_code == 200


@pytest.mark.parametrize(
    "error_type", [ServiceUnavailableError, RequestTimeoutError, UnreadableMessageError]
)
async def test_not_ready_says_why(
    error_type: type[ServiceError], scripted: Any, http: httpx.AsyncClient
) -> None:
    """Whatever is in the way, the status is 503 and `reason` its code."""
    scripted.ping_outcome = error_type()
    response = await http.get("/readyz")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "unavailable"
    assert response.json()["reason"] == error_type.code


async def test_the_outcome_is_kept_for_a_while(scripted: Any) -> None:
    """Probes within the interval cost nothing; the next one after it asks again."""
    clock = Clock()
    readiness = Readiness(ClientSlot(scripted), clock)
    for _ in range(3):
        assert await probe(readiness) == 200
    assert scripted.pings == 1
    scripted.ping_outcome = ServiceUnavailableError()
    clock.now_s += CACHE_S
    assert await probe(readiness) == 503
    assert scripted.pings == 2


async def test_probes_that_come_together_share_a_ping() -> None:
    """A crowd of probes waits for one message."""
    asked, answer = asyncio.Event(), asyncio.Event()
    pings = 0

    class Slow:
        async def ping(self, *, timeout_s: float | None = None) -> None:
            nonlocal pings
            pings += 1
            asked.set()
            await answer.wait()

    slot: Any = ClientSlot(Slow())  # type: ignore[arg-type]
    readiness = Readiness(slot)
    probes = [asyncio.create_task(probe(readiness)) for _ in range(5)]
    await asked.wait()
    probes[0].cancel()
    answer.set()
    outcomes = await asyncio.gather(*probes, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == [200] * 4
    assert pings == 1


async def test_not_ready_before_the_start() -> None:
    """Without a client there is nothing to be ready."""
    assert await probe(Readiness(ClientSlot())) == 503
