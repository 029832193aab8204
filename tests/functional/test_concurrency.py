"""Many callers of one client: threads, tasks, loops and processes, and nothing left of them."""

from __future__ import annotations

import asyncio
import gc
import os
import queue
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from caas_tasks.errors import RequestTimeoutError, ServiceUnavailableError
from caas_tasks.names import Lane
from producer_client import AsyncClient, Encrypted, task_calls, waiting
from producer_client.calls import Call, ThreadCall
from producer_client.testing import InMemoryService

USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
SAFETY_S = 60.0


@pytest.fixture
def expected(service: InMemoryService) -> Callable[[str], Encrypted]:
    """What the service answers, asked one by one."""
    with service.client() as client:
        known = {f"data {n}": client.encrypt(USER_UUID, f"data {n}") for n in range(50)}
    return lambda data: known[data]


def is_idle(client: Any) -> bool:
    return all(each.is_idle for each in client._dispatchers.values())


async def started(client: AsyncClient, count: int) -> list[asyncio.Task[Encrypted]]:
    """Tasks that all wait for an answer."""
    tasks = [asyncio.create_task(client.encrypt(USER_UUID, f"data {n % 50}")) for n in range(count)]
    await asyncio.sleep(0)  # each runs up to its wait
    return tasks


def test_500_tasks_get_their_own_answers(
    service: InMemoryService, expected: Callable[[str], Encrypted]
) -> None:
    """Calls that travel together are not mixed up."""

    async def run() -> None:
        async with service.async_client(timeout_s=SAFETY_S) as client:
            results = await asyncio.gather(
                *(client.encrypt(USER_UUID, f"data {n % 50}") for n in range(500))
            )
            assert results == [expected(f"data {n % 50}") for n in range(500)]
            assert is_idle(client)

    asyncio.run(run())


def test_threads_get_their_own_answers(
    service: InMemoryService, expected: Callable[[str], Encrypted]
) -> None:
    """One client serves a process's threads."""
    wrong: queue.SimpleQueue[str] = queue.SimpleQueue()
    with service.client(timeout_s=SAFETY_S) as client:

        def work(offset: int) -> None:
            for n in range(50):
                data = f"data {(n + offset) % 50}"
                if client.encrypt(USER_UUID, data) != expected(data):
                    wrong.put(data)

        threads = [threading.Thread(target=work, args=(offset,)) for offset in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SAFETY_S)
        assert not any(thread.is_alive() for thread in threads)
        assert is_idle(client)
    assert wrong.empty()


def test_several_loops_share_one_client(
    service: InMemoryService, expected: Callable[[str], Encrypted]
) -> None:
    """Loops of several threads, and one after the other, use one client."""
    client = service.async_client(timeout_s=SAFETY_S)
    results: queue.SimpleQueue[tuple[str, Encrypted]] = queue.SimpleQueue()

    async def work(offset: int) -> None:
        names = [f"data {n + offset}" for n in range(10)]
        for name, result in zip(
            names,
            await asyncio.gather(*(client.encrypt(USER_UUID, name) for name in names)),
            strict=True,
        ):
            results.put((name, result))

    threads = [threading.Thread(target=asyncio.run, args=(work(10 * n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SAFETY_S)
    asyncio.run(work(0))
    asyncio.run(client.close())
    got = [results.get_nowait() for _ in range(50)]
    assert all(result == expected(name) for name, result in got)


def test_cancelled_call_frees_its_place(service: InMemoryService) -> None:
    """A cancelled call is gone at once, in flight or queued."""

    async def run() -> None:
        async with service.async_client(timeout_s=SAFETY_S) as client:
            with service.silence():
                tasks = await started(client, 600)
                while not client._dispatchers[Lane.FAST]._queue.flights:  # noqa: ASYNC110 - a thread does it
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            assert all(task.cancelled() for task in tasks)
            assert is_idle(client)
            assert (await client.encrypt(USER_UUID, "after")).key_version == 1

    asyncio.run(run())


def test_cancelling_one_call_leaves_its_neighbours(
    service: InMemoryService, expected: Callable[[str], Encrypted]
) -> None:
    """Every other call of the same message gets its own answer."""

    async def run() -> None:
        async with service.async_client(timeout_s=SAFETY_S) as client:
            tasks = await started(client, 50)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert results[1::2] == [expected(f"data {n}") for n in range(1, 50, 2)]
            assert is_idle(client)

    asyncio.run(run())


@pytest.mark.parametrize("end", ["cancelled", "timed out"])
def test_nothing_is_left_of_5000_calls_that_failed(service: InMemoryService, end: str) -> None:
    """Calls that end without an answer leave no object behind."""

    async def burst(client: AsyncClient) -> None:
        with service.silence():
            if end == "cancelled":
                tasks = await started(client, 5_000)
                for task in tasks:
                    task.cancel()
            else:
                tasks = [
                    asyncio.create_task(client.encrypt(USER_UUID, "a", timeout_s=0.001))
                    for _ in range(5_000)
                ]
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        kind = asyncio.CancelledError if end == "cancelled" else RequestTimeoutError
        assert {type(outcome) for outcome in outcomes} == {kind}

    def count_calls() -> int:
        gc.collect()
        # Not isinstance, which would wake the lazy objects of a framework that another test loaded.
        return sum(issubclass(type(found), Call) for found in gc.get_objects())

    async def run() -> tuple[bool, int]:
        before = count_calls()  # other tests may hold some
        async with service.async_client(timeout_s=SAFETY_S) as client:
            await burst(client)
            await asyncio.sleep(0)  # the loop's own hold on the last outcomes ends
            waiting_calls = client._dispatchers[Lane.FAST]._queue.waiting
            idle = is_idle(client) and (waiting_calls.items, waiting_calls.size_bytes) == (0, 0)
            return idle, max(0, count_calls() - before)

    assert asyncio.run(run()) == (True, 0)


def test_10000_waiting_calls_take_less_than_100_mib(service: InMemoryService) -> None:
    """A burst that nobody answers is held in bounded memory."""

    async def run() -> int:
        async with service.async_client(timeout_s=SAFETY_S) as client:
            await client.encrypt(USER_UUID, "warm")
            with service.silence():
                tracemalloc.start()
                idle_bytes = tracemalloc.get_traced_memory()[0]
                tasks = await started(client, 10_000)
                peak_bytes = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            return peak_bytes - idle_bytes

    assert asyncio.run(run()) < 100 * 1024 * 1024


def test_task_waits_for_room_and_goes_on(
    service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full queue holds tasks back without failing them."""
    monkeypatch.setattr(waiting, "MAX_WAITING_ITEMS", 2)
    monkeypatch.setattr(task_calls, "ROOM_POLL_S", 0.001)

    async def run() -> None:
        async with service.async_client(timeout_s=SAFETY_S) as client:
            results = await asyncio.gather(*(client.encrypt(USER_UUID, str(n)) for n in range(100)))
            assert len(set(results)) == 100

    asyncio.run(run())


def test_task_without_room_ends_at_its_deadline(
    service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back-pressure ends in a timeout, for a task as for a thread."""
    monkeypatch.setattr(waiting, "MAX_WAITING_ITEMS", 1)

    async def run() -> None:
        async with service.async_client(timeout_s=SAFETY_S) as client:
            with service.silence():
                blockers = await started(client, 3)
                while client._dispatchers[Lane.FAST]._queue.waiting.items < 1:  # noqa: ASYNC110 - a thread does it
                    await asyncio.sleep(0)
                with pytest.raises(RequestTimeoutError):
                    await client.encrypt(USER_UUID, "no room", timeout_s=0.02)
                for task in blockers:
                    task.cancel()
                await asyncio.gather(*blockers, return_exceptions=True)

    # Only the first message may leave, so that the queue fills.
    monkeypatch.setattr("producer_client.lanes.MAX_IN_FLIGHT", 1)
    monkeypatch.setattr("producer_client.lanes.STALE_S", SAFETY_S)
    asyncio.run(run())


def test_close_ends_tasks_that_wait(service: InMemoryService) -> None:
    """Calls under way fail when their client is closed."""

    async def run() -> list[Any]:
        client = service.async_client(timeout_s=SAFETY_S)
        with service.silence():
            tasks = await started(client, 20)
            await client.close()
            return await asyncio.gather(*tasks, return_exceptions=True)

    assert {type(outcome) for outcome in asyncio.run(run())} == {ServiceUnavailableError}


# From Python 3.12 on, forking beside threads is warned of: that it works is what is tested.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_threads_and_a_forked_child_get_their_own_answers(
    service: InMemoryService, expected: Callable[[str], Encrypted]
) -> None:
    """A client used by two threads goes on in both, and afresh in a forked child."""
    with service.client(timeout_s=SAFETY_S) as client:
        client.encrypt(USER_UUID, "before the fork")
        outcomes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        start = threading.Event()

        def work() -> None:
            start.wait(SAFETY_S)
            names = [f"data {n}" for n in range(50)]
            outcomes.put(all(client.encrypt(USER_UUID, name) == expected(name) for name in names))

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = int(client.encrypt(USER_UUID, "data 7") != expected("data 7"))
            finally:
                os._exit(status)
        start.set()
        for thread in threads:
            thread.join(SAFETY_S)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert [outcomes.get_nowait() for _ in threads] == [True, True]


def test_interrupted_thread_does_not_keep_its_message_alive(
    service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C in a waiting call the message is dropped at the call's deadline."""

    def interrupted(self: ThreadCall, timeout_s: float) -> bool:
        raise KeyboardInterrupt

    dropped = threading.Event()
    with service.client() as client, service.silence():
        dispatcher = client._dispatchers[Lane.FAST]
        overdue = dispatcher._overdue

        def watched() -> Any:
            due = overdue()
            if is_idle(client):
                dropped.set()
            return due

        with monkeypatch.context() as patch:
            patch.setattr(ThreadCall, "wait", interrupted)
            with pytest.raises(KeyboardInterrupt):
                client.encrypt(USER_UUID, "a", timeout_s=0.01)
        monkeypatch.setattr(dispatcher, "_overdue", watched)
        assert dropped.wait(SAFETY_S)


def test_answer_that_comes_as_the_deadline_passes_is_returned(
    service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the end of the wait and giving up there is still time for an answer."""
    wait = ThreadCall.wait

    def late(self: ThreadCall, timeout_s: float) -> bool:
        assert wait(self, SAFETY_S)
        return False

    monkeypatch.setattr(ThreadCall, "wait", late)
    with service.client() as client:
        assert client.encrypt(USER_UUID, "a").key_version == 1
