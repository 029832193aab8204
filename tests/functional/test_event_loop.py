"""Nothing of the asyncio client blocks its loop: whatever may wait happens in other threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from caas_tasks.envelope import ClientSession
from producer_client import AsyncClient, Client
from producer_client.testing import InMemoryService

USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
BROKER_CALLS = ("send", "receive", "interrupt", "close")
JOB_CALLS = ("enter", "results", "count_results", "count_open", "cancel", "close")


class Noting:
    """Passes calls on, and notes which were made in the thread that made this."""

    def __init__(self, inner: Any, names: tuple[str, ...], noted: list[str]) -> None:
        self._inner = inner
        self._names = names
        self._noted = noted
        self._loop_thread = threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        if name in self._names and threading.get_ident() == self._loop_thread:
            self._noted.append(name)
        return getattr(self._inner, name)


async def use_everything(client: AsyncClient) -> None:
    """Each kind of call: single, many, a job's life, the probe, one that is cancelled."""
    await client.ping()
    token = await client.seal(USER_UUID, b"plaintext")
    await asyncio.gather(
        *(client.encrypt(USER_UUID, f"data {number}") for number in range(100)),
        client.open(USER_UUID, token),
        client.verify_password(USER_UUID, "a", None),
        client.encrypt_many([(USER_UUID, "a")] * 1_100),
    )
    job = await client.submit_encrypt_many([(USER_UUID, "a")])
    await job.progress()
    await job.collect()
    await client.collect(job.handle)
    await job.cancel()
    task = asyncio.create_task(client.encrypt(USER_UUID, "given up"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def in_the_loop(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done in the loop's thread that may block it or takes long."""
    noted: list[str] = []
    start: Callable[..., ClientSession] = ClientSession.start
    this_thread = threading.get_ident()

    def noting(*args: Any) -> ClientSession:
        if threading.get_ident() == this_thread:
            noted.append("wrapping a session's secret")
        return start(*args)

    monkeypatch.setattr(ClientSession, "start", noting)
    return noted


def noting_arguments(service: InMemoryService, noted: list[str]) -> dict[str, Any]:
    """What a client of the service is made with, its transport noted."""
    arguments = service._arguments(None, 60.0)
    transport = arguments["transport"]
    transport.jobs = Noting(transport.jobs, JOB_CALLS, noted)
    return {**arguments, "transport": Noting(transport, BROKER_CALLS, noted)}


def test_nothing_that_waits_runs_in_the_loop(
    service: InMemoryService, in_the_loop: list[str]
) -> None:
    """Broker, job store and public-key work are reached from other threads alone."""

    async def run() -> None:
        async with AsyncClient(**noting_arguments(service, in_the_loop)) as client:
            await use_everything(client)

    asyncio.run(run())
    assert in_the_loop == []


def test_the_noting_is_not_blind(service: InMemoryService, in_the_loop: list[str]) -> None:
    """The client that may block does all of it in its caller's thread."""
    with Client(**noting_arguments(service, in_the_loop)) as client:
        client.encrypt(USER_UUID, "data")
        client.submit_encrypt_many([(USER_UUID, "a")]).collect()
    assert {"send", "wrapping a session's secret", "enter", "results"} <= set(in_the_loop)
