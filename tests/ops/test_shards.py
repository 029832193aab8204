"""Two brokers, one killed under load: the client goes on through the other, in a stated time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from ops_rig import load
from ops_rig.servers import RedisServer
from rig.process import DEADLINE_S, LoggedProcess
from rig.stack import KeystoreFolder

from producer_client import AsyncClient, Client

pytestmark = pytest.mark.ops

RATE: Final = 200
SECONDS: Final = 8.0
TIMEOUT_S: Final = 8.0


@pytest.fixture
def exits() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def brokers(exits: ExitStack, tmp_path: Path) -> list[RedisServer]:
    return [exits.enter_context(RedisServer(tmp_path / name)) for name in ("one", "two")]


@pytest.fixture
def workers(
    exits: ExitStack, brokers: list[RedisServer], keystore: KeystoreFolder
) -> list[LoggedProcess]:
    """One on each broker, by the index that `caas worker` reads."""
    started = []
    for index in range(len(brokers)):
        env: dict[str, str | None] = {
            "CAAS_BROKER_URL": urls(brokers),
            "CAAS_BROKER_INDEX": str(index),
            "CAAS_KEYSTORE": str(keystore.path),
            "CAAS_IDENTITY": str(keystore.identity_path),
            "CAAS_GUESS_LIMITS": "off",
        }
        worker = LoggedProcess([sys.executable, "-m", "caas_cli", "worker", "--quiet"], env)
        exits.callback(worker.stop)
        started.append(worker)
    for worker in started:
        worker.wait_for("ready.")
    return started


@pytest.fixture
def keystore(tmp_path: Path) -> KeystoreFolder:
    return KeystoreFolder(tmp_path)


def urls(brokers: list[RedisServer]) -> str:
    return ",".join(broker.url() for broker in brokers)


def options(keystore: KeystoreFolder, brokers: list[RedisServer]) -> dict[str, Any]:
    return {
        "broker_url": urls(brokers),
        "api_key": keystore.api_key,
        "server_key": keystore.server_key,
        "timeout_s": TIMEOUT_S,
    }


@pytest.mark.usefixtures("workers")
def test_one_broker_killed_under_load(
    keystore: KeystoreFolder, brokers: list[RedisServer], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every call is answered, and the answers pause for no longer than a resend takes."""
    expected = keystore.expected_encrypted([(load.UUID, str(n)) for n in range(500)])

    async def kill() -> None:
        brokers[0].process.kill()

    async def calls() -> load.Outcome:
        async with AsyncClient(**options(keystore, brokers)) as client:
            await client.ping(timeout_s=DEADLINE_S)
            return await load.run(client, expected, rate=RATE, seconds=SECONDS, disturb=kill)

    outcome = asyncio.run(calls())
    with capsys.disabled():
        print(f"\nof two brokers one killed: {outcome}")  # noqa: T201 - the figures are the point
    assert (outcome.wrong, dict(outcome.untyped), dict(outcome.failed)) == (0, {}, {})
    assert outcome.right == RATE * SECONDS


def test_broker_without_workers_costs_one_wait(
    keystore: KeystoreFolder, brokers: list[RedisServer], workers: list[LoggedProcess]
) -> None:
    """Where a broker takes messages and nobody answers, calls are answered by the other."""
    workers[0].kill()
    with Client(**options(keystore, brokers)) as client:
        for number in range(20):
            assert client.encrypt(load.UUID, str(number)).encrypted_data


@pytest.mark.usefixtures("workers")
def test_jobs_of_both_brokers_are_collected_by_another_process(
    keystore: KeystoreFolder, brokers: list[RedisServer]
) -> None:
    """Jobs are spread, and found by their handles whatever the order of the brokers."""
    with Client(**options(keystore, brokers)) as client:
        handles = [client.submit_encrypt_many([(load.UUID, str(n))]).handle for n in range(4)]
    with Client(**options(keystore, brokers[::-1])) as client:
        results = [client.collect(handle, timeout_s=DEADLINE_S) for handle in handles]
    assert [len(found) for found in results] == [1, 1, 1, 1]
    counts = []
    for broker in brokers:
        with broker.connect() as connection:
            counts.append(len(connection.keys("caas:result:*")))
    assert counts == [2, 2]
