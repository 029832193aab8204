"""The whole way, from a client through the envelope to the real operations, in memory."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from caas_tasks.errors import RequestTimeoutError, ServiceUnavailableError
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

    def notice_outage(self, client: Client | AsyncClient) -> None:
        """Wait until a client has found its broker away.

        A call so short that nothing was tried before its deadline says only that no answer came.
        """
        while True:
            try:
                self.run(client.encrypt("4dbcbcfe-4800-40a8-badf-c26b73af230c", "", timeout_s=0.02))
            except ServiceUnavailableError:
                return
            except RequestTimeoutError:
                continue

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


@pytest.fixture
def new_surface(service: InMemoryService) -> Iterator[Callable[[str], Surface]]:
    """Makes surfaces: `new_surface("sync")`, `new_surface("async")`."""
    with ExitStack() as exits:

        def make(name: str) -> Surface:
            made = Surface(name, service)
            exits.callback(made.close)
            return made

        yield make


@pytest.fixture(params=["sync", "async"])
def surface(request: pytest.FixtureRequest, new_surface: Callable[[str], Surface]) -> Surface:
    """Each test runs once with `Client` and once with `AsyncClient`."""
    return new_surface(request.param)


@pytest.fixture
def client(surface: Surface) -> Client | AsyncClient:
    """The client that `call` calls."""
    return surface.client()


@pytest.fixture
def call(surface: Surface, client: Client | AsyncClient) -> Callable[..., Any]:
    """Calls a method of one client by name: `call("encrypt", user_uuid, data)`."""

    def call(method: str, *args: Any, **options: Any) -> Any:
        return surface.run(getattr(client, method)(*args, **options))

    return call
