"""The password lane: a worker of its own, from a client through the real broker and back."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rig.hold import HOLD, Hold
from rig.process import DEADLINE_S, LoggedProcess
from rig.stack import Stack

from caas_tasks.names import Lane
from producer_client import Client, RequestTimeoutError, Rewrapped, UndecryptableError

pytestmark = pytest.mark.integration

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
PASSWORD = "correct horse battery staple"
READY = "ready."


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A broker, a worker of the fast lane, and none for passwords yet."""
    with Stack(tmp_path) as made:
        made.start_worker()
        made.wait_until_ready()
        yield made


@pytest.fixture
def worker(stack: Stack) -> LoggedProcess:
    """A password worker that is ready."""
    started = stack.start_password_worker()
    started.wait_for(READY)
    return started


@pytest.fixture
def client(stack: Stack) -> Client:
    return stack.client(timeout_s=DEADLINE_S, password_timeout_s=DEADLINE_S)


@pytest.mark.usefixtures("worker")
def test_password_there_and_back(client: Client) -> None:
    """A password is hashed and verified by a worker of its lane."""
    stored = client.hash_password(USER, PASSWORD)
    assert client.verify_password(USER, PASSWORD, stored)
    assert not client.verify_password(USER, "a guess", stored)
    assert not client.verify_password(USER, PASSWORD, None)


@pytest.mark.usefixtures("worker")
def test_password_there_and_back_awaited(stack: Stack) -> None:
    """The asyncio client's passwords are hashed and verified by the same worker."""

    async def run() -> list[bool]:
        options = {"timeout_s": DEADLINE_S, "password_timeout_s": DEADLINE_S}
        async with stack.async_client(**options) as client:
            stored = await client.hash_password(USER, PASSWORD)
            guesses = (PASSWORD, "a guess")
            return [bool(await client.verify_password(USER, guess, stored)) for guess in guesses]

    assert asyncio.run(run()) == [True, False]


def test_seal_there_and_back(client: Client) -> None:
    """Sealing is quick work: the fast lane's worker does it."""
    token = client.seal(USER, b"12 Example Street", b"address")
    assert client.open(USER, token, b"address") == b"12 Example Street"
    assert client.rewrap(USER, token, b"address") == Rewrapped(token, changed=False)
    with pytest.raises(UndecryptableError):
        client.open(USER, token, b"another")


def test_quick_calls_do_not_wait_for_passwords(stack: Stack, client: Client) -> None:
    """While nobody answers passwords, the fast lane goes on as ever."""
    slow = [
        threading.Thread(target=_hash, args=(client, number), daemon=True) for number in range(200)
    ]
    for thread in slow:
        thread.start()
    with stack.broker.connect() as connection:
        while connection.llen(Lane.PASSWORD.value) < 1:
            client.encrypt(USER, "quick")
    for number in range(50):
        assert client.encrypt(USER, f"quick {number}").encrypted_data
    with pytest.raises(RequestTimeoutError):
        client.hash_password(USER, PASSWORD, timeout_s=0.05)
    stack.start_password_worker().wait_for(READY)
    for thread in slow:
        thread.join(DEADLINE_S)
    assert not any(thread.is_alive() for thread in slow)


def _hash(client: Client, number: int) -> None:
    client.hash_password(USER, f"password {number}")


def test_a_lost_password_is_sent_again(stack: Stack) -> None:
    """A worker that dies with passwords leaves them to the next, before their deadlines."""
    client = stack.client(password_timeout_s=20.0)
    first = stack.start_password_worker()
    first.wait_for(READY)
    with ThreadPoolExecutor(64) as pool:
        asked = [pool.submit(client.hash_password, USER, f"password {n}") for n in range(64)]
        asked[0].result(DEADLINE_S)
        first.kill()
        stack.start_password_worker().wait_for(READY)
        assert len({future.result(DEADLINE_S) for future in asked}) == 64


def test_a_stopped_worker_finishes_its_passwords(stack: Stack, client: Client) -> None:
    """SIGTERM lets a password under way be answered, and leaves the rest to others."""
    worker = stack.start_password_worker()
    worker.wait_for(READY)
    with ThreadPoolExecutor(32) as pool:
        asked = [pool.submit(client.hash_password, USER, f"password {n}") for n in range(200)]
        asked[0].result(DEADLINE_S)
        worker.stop()
        stack.start_password_worker().wait_for(READY)
        assert len({future.result(DEADLINE_S) for future in asked}) == 200


def test_a_burst_queues_within_the_memory(stack: Stack, client: Client) -> None:
    """However many come at once, all are answered by a worker with memory for one."""
    worker = stack.start_password_worker(env={"CAAS_PASSWORD_MEMORY_KIB": "8"})
    worker.wait_for(READY)
    with ThreadPoolExecutor(16) as pool:
        hashes = list(pool.map(lambda n: client.hash_password(USER, f"{n}"), range(100)))
    assert all(client.verify_password(USER, f"{n}", stored) for n, stored in enumerate(hashes))


@pytest.mark.parametrize("plugins", [["hold"], ["hold", "acknowledging"]])
def test_a_busy_worker_survives_a_broker_restart(
    stack: Stack, client: Client, hold: Hold, plugins: list[str]
) -> None:
    """A broker that dies while a password is under way does not take its worker with it.

    Passwords are acknowledged late. With the acknowledgement state that kombu keeps by default this
    is where a worker ends that lacks `caas_tasks.closed_connection`.
    """
    include = ",".join(f"rig.plugins.{name}" for name in plugins)
    worker = stack.start_password_worker(f"--include={include}", env=hold.env)
    worker.wait_for(READY)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(client.hash_password, USER, HOLD)
        hold.wait_until_begun()
        stack.broker.kill()
        stack.broker.start()
        hold.release()
        stored = asked.result(DEADLINE_S)
    assert (client.verify_password(USER, HOLD, stored).valid, worker.is_running) == (True, True)


def nice_of(thread: Path) -> int:
    """A thread's nice value, by its folder in /proc (proc(5), field 19 of `stat`)."""
    return int((thread / "stat").read_text().rpartition(")")[2].split()[16])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="another kernel than Linux")
def test_hashing_stands_back(stack: Stack, client: Client) -> None:
    """What hashes comes last on its host, its session with it; what fetches messages does not."""
    worker = stack.start_password_worker(env={"CAAS_PASSWORD_NICE": "19"}, leads_session=True)
    worker.wait_for(READY)
    process = Path("/proc") / str(worker.pid)
    autogroup = process / "autogroup"
    for _ in range(100):
        client.hash_password(USER, PASSWORD)
        # The kernel takes one such request each 0.1 s; refused, it is made again.
        if not autogroup.exists() or autogroup.read_text().endswith(" nice 19\n"):
            break
    nices = {thread.name: nice_of(thread) for thread in (process / "task").iterdir()}
    assert nices.pop(str(worker.pid)) == os.nice(0)
    assert 19 in nices.values()
    if autogroup.exists():
        assert autogroup.read_text().endswith(" nice 19\n")
