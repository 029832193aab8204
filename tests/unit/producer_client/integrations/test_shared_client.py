"""The one client of a process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from producer_client import Client
from producer_client.integrations.shared_client import get_client, set_client, use_client
from producer_client.testing import InMemoryService


@pytest.fixture(autouse=True)
def _none_yet() -> Iterator[None]:
    set_client(None)
    yield
    set_client(None)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    """The clients that were made from the environment."""
    service = InMemoryService()
    clients: list[Client] = []

    def make(_: type[Client]) -> Client:
        clients.append(service.client())
        return clients[-1]

    monkeypatch.setattr(Client, "from_env", classmethod(make))
    return clients


def test_many_threads_get_one_client(made: list[Client]) -> None:
    """The first call makes it, and only the first."""
    with ThreadPoolExecutor(8) as pool:
        got = set(pool.map(lambda _: get_client(), range(32)))
    assert (len(got), len(made)) == (1, 1)


def test_a_block_has_its_own_client(made: list[Client]) -> None:
    """After it the client is the one before."""
    before = get_client()
    with InMemoryService().client() as other, use_client(other):
        inside = get_client()
    assert (inside, get_client()) == (other, before)
