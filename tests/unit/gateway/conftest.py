"""What the gateway's unit tests share: a client that does as it is told, the gateway around it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from caas_tasks import api_key
from caas_tasks.errors import ServiceError
from caas_tasks.names import Operation
from gateway.app import create_app


@dataclass
class ScriptedClient:
    """Takes the client's place; raises or returns `outcome` and keeps what it was asked."""

    outcome: Any = None
    ping_outcome: Exception | None = None
    pings: int = 0
    requests: list[tuple[Operation, Sequence[dict[str, Any]], str | None]] = field(
        default_factory=list
    )

    async def request_items(
        self,
        operation: Operation,
        items: Sequence[dict[str, Any]],
        *,
        api_key: str | None = None,
        timeout_s: float | None = None,
    ) -> list[dict[str, Any] | ServiceError]:
        self.requests.append((operation, items, api_key))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if self.outcome is None:
            return [{"encrypted_data": "ab" * 48, "key_version": 3} for _ in items]
        return list(self.outcome)

    async def ping(self, *, timeout_s: float | None = None) -> None:
        self.pings += 1
        if self.ping_outcome is not None:
            raise self.ping_outcome

    async def close(self) -> None:
        raise AssertionError("the gateway closed a client that it did not open")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def key() -> str:
    return api_key.generate(secrets.choice)


@pytest.fixture
def scripted() -> ScriptedClient:
    return ScriptedClient()


@pytest.fixture
async def http(scripted: ScriptedClient) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(client=scripted))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client
