"""The whole way, from a client through the envelope to the real operations, in memory."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from producer_client import AsyncClient, Client
from producer_client.testing import InMemoryService


class Surface:
    """One of the two clients behind one way of calling it, so that a test states both at once.

    The asyncio client's calls run on one loop of their own.
    """

    def __init__(self, name: str, service: InMemoryService) -> None:
        self.name = name
        self._service = service
        self._runner = asyncio.Runner()
        self._clients: list[Any] = []

    def client(self, **options: Any) -> Client | AsyncClient:
        """A client of the service, closed at the test's end."""
        make = self._service.client if self.name == "sync" else self._service.async_client
        made: Client | AsyncClient = make(**options)
        self._clients.append(made)
        return made

    def run(self, outcome: Any) -> Any:
        """What a method returned, awaited where it is to be."""
        if inspect.iscoroutine(outcome):
            return self._runner.run(outcome)
        return outcome

    def close(self) -> None:
        for client in self._clients:
            self.run(client.close())
        self._runner.close()


@pytest.fixture
def service() -> InMemoryService:
    """A service of the test's own."""
    return InMemoryService()


@pytest.fixture(params=["sync", "async"])
def surface(request: pytest.FixtureRequest, service: InMemoryService) -> Iterator[Surface]:
    """Each test runs once with `Client` and once with `AsyncClient`."""
    made = Surface(request.param, service)
    yield made
    made.close()


@pytest.fixture
def call(surface: Surface) -> Callable[..., Any]:
    """Calls a method of one client by name: `call("encrypt", user_uuid, data)`."""
    client = surface.client()

    def call(method: str, *args: Any, **options: Any) -> Any:
        return surface.run(getattr(client, method)(*args, **options))

    return call
