"""Bulk jobs, broker and workers real: submitted here, collected elsewhere, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from rig.bulk import collect_elsewhere, pairs_of
from rig.process import DEADLINE_S
from rig.stack import Stack

from caas_tasks import job_ledger
from caas_tasks.names import Lane
from producer_client import AsyncClient, Client, InvalidRequestError, RequestTimeoutError
from producer_client.jobs import JobProgress

pytestmark = pytest.mark.integration

BULK = Lane.BULK.value
NO_SWEEP_S = 5.0
"""More than twice the time between two sweeps: long enough for a job that must not come."""


@pytest.fixture(scope="module")
def bulk_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service with one worker of the bulk lane. Tests leave it as they found it."""
    with Stack(tmp_path_factory.mktemp("bulk"), keeps_data=True) as shared:
        shared.start_worker(queue=BULK)
        yield shared


@pytest.fixture(scope="module")
def bulk_client(bulk_stack: Stack) -> Client:
    """A client of that service."""
    return bulk_stack.client(timeout_s=DEADLINE_S)


def throw_queue_away(stack: Stack) -> int:
    """Take every message from the queue, as a worker that dies at once does; how many."""
    with stack.broker.connect() as broker:
        taken = 0
        while broker.rpop(BULK) is not None:
            taken += 1
    return taken


def test_job_is_collected_by_another_process(bulk_stack: Stack, bulk_client: Client) -> None:
    """The handle is all that another process needs for the right results, in order."""
    pairs = pairs_of("elsewhere", 1_200)
    job = bulk_client.submit_encrypt_many(pairs)
    assert collect_elsewhere(bulk_stack, [job.handle]) == [
        bulk_stack.keystore.expected_encrypted(pairs)
    ]


def test_job_is_collected_twice(bulk_client: Client) -> None:
    """Collecting takes nothing away."""
    job = bulk_client.submit_encrypt_many(pairs_of("twice", 3))
    first = job.collect()
    assert bulk_client.collect(job.handle) == first


def test_bad_pair_has_its_error_in_its_place(bulk_stack: Stack, bulk_client: Client) -> None:
    """What a worker refuses fails alone."""
    pairs = pairs_of("bad pair", 3)
    pairs[1] = ("no UUID", "data")
    values = collect_elsewhere(bulk_stack, [bulk_client.submit_encrypt_many(pairs).handle])
    good = bulk_stack.keystore.expected_encrypted([pairs[0], pairs[2]])
    assert values == [[good[0], "InvalidRequestError", good[1]]]


def test_async_client_submits_and_collects(bulk_stack: Stack) -> None:
    """The asyncio client's job, awaited, has the right results."""
    pairs = pairs_of("asyncio", 700)

    async def run() -> list[object]:
        client = bulk_stack.async_client(timeout_s=DEADLINE_S)
        async with client:
            job = await client.submit_encrypt_many(pairs)
            results = await client.collect(job.handle)
            assert await job.progress() == JobProgress(2, 2)
            return [getattr(result, "encrypted_data", result) for result in results]

    assert asyncio.run(run()) == bulk_stack.keystore.expected_encrypted(pairs)


def test_async_client_cancels(new_stack: Callable[..., Stack]) -> None:
    """A job that the asyncio client took back can't be collected."""

    async def run(client: AsyncClient) -> None:
        async with client:
            job = await client.submit_encrypt_many(pairs_of("asyncio cancel", 1))
            await job.cancel()
            await job.collect()

    with pytest.raises(InvalidRequestError):
        asyncio.run(run(new_stack().async_client()))


def test_progress_counts_messages(new_stack: Callable[..., Stack]) -> None:
    """Progress goes from none to all of the job's messages."""
    stack = new_stack()
    client = stack.client(timeout_s=DEADLINE_S)
    job = client.submit_encrypt_many(pairs_of("progress", 1_001))
    before = job.progress()
    stack.start_worker(queue=BULK)
    job.collect()
    assert (before, job.progress()) == (JobProgress(0, 3), JobProgress(3, 3))


def test_cancelled_job_is_unknown(bulk_client: Client) -> None:
    """After `cancel` there is nothing to collect, whether or not a worker was quicker."""
    job = bulk_client.submit_encrypt_many(pairs_of("cancel", 2))
    job.cancel()
    with pytest.raises(InvalidRequestError):
        bulk_client.collect(job.handle)


def test_cancelled_job_is_not_worked_on(new_stack: Callable[..., Stack]) -> None:
    """A worker drops the message of a cancelled job, and nothing of the job stays."""
    stack = new_stack()
    client = stack.client(timeout_s=DEADLINE_S)
    client.submit_encrypt_many(pairs_of("cancelled", 2)).cancel()
    stack.start_worker(queue=BULK)
    client.submit_encrypt_many(pairs_of("after it", 2)).collect()
    with stack.broker.connect() as broker:
        results = list(broker.scan_iter(job_ledger.RESULT_PREFIX + "*"))
        found = (len(results), broker.llen(BULK), broker.zcard(job_ledger.JOBS_KEY))
    assert found == (1, 0, 0)


def test_handle_of_another_broker_is_unknown(
    new_stack: Callable[..., Stack], bulk_client: Client
) -> None:
    """A well-formed handle that this service has nothing for is refused, not waited for."""
    elsewhere = new_stack().client().submit_encrypt_many(pairs_of("other", 1))
    with pytest.raises(InvalidRequestError):
        bulk_client.collect(elsewhere.handle)


@pytest.mark.parametrize("handle", ["", "caasjob1.", "caasjob1.AAAA", "no handle"])
def test_text_that_is_no_handle_is_refused(bulk_client: Client, handle: str) -> None:
    """Other text is refused as such."""
    with pytest.raises(InvalidRequestError):
        bulk_client.collect(handle)


def test_job_without_a_worker_is_not_done_yet(new_stack: Callable[..., Stack]) -> None:
    """Collecting in vain says that it is too early."""
    job = new_stack().client().submit_encrypt_many(pairs_of("early", 1))
    with pytest.raises(RequestTimeoutError):
        job.collect(timeout_s=0.2)


def test_job_whose_message_was_lost_is_collected(
    new_stack: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that was popped and then lost with its worker is sent again by another's sweep."""
    monkeypatch.setattr(job_ledger, "RESEND_AFTER_S", 0.0)
    stack = new_stack()
    pairs = pairs_of("lost", 600)
    job = stack.client().submit_encrypt_many(pairs)
    assert throw_queue_away(stack) == 2
    stack.start_worker(queue=BULK)
    assert collect_elsewhere(stack, [job.handle]) == [stack.keystore.expected_encrypted(pairs)]


def test_lost_message_stays_lost_without_the_sweep(
    new_stack: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same job never comes when the worker does not sweep: nothing else brings it back."""
    monkeypatch.setattr(job_ledger, "RESEND_AFTER_S", 0.0)
    stack = new_stack()
    client = stack.client(timeout_s=DEADLINE_S)
    job = client.submit_encrypt_many(pairs_of("lost for good", 600))
    throw_queue_away(stack)
    stack.start_worker(queue=BULK, plugins=["rig.plugins.no_sweep"])
    client.submit_encrypt_many(pairs_of("worker works", 1)).collect()
    with pytest.raises(RequestTimeoutError):
        job.collect(timeout_s=NO_SWEEP_S)


def test_jobs_waiting_in_a_killed_broker_are_collected(new_stack: Callable[..., Stack]) -> None:
    """`kill -9` of a broker that keeps its data loses no job that was submitted."""
    stack = new_stack(keeps_data=True)
    client = stack.client()
    jobs = {
        f"waiting {k}": client.submit_encrypt_many(pairs_of(f"waiting {k}", 5)) for k in range(20)
    }
    stack.broker.kill()
    stack.broker.start()
    stack.start_worker(queue=BULK)
    values = collect_elsewhere(stack, [job.handle for job in jobs.values()])
    assert values == [stack.keystore.expected_encrypted(pairs_of(name, 5)) for name in jobs]


def test_jobs_under_way_in_a_killed_broker_are_collected(new_stack: Callable[..., Stack]) -> None:
    """The same while a worker is at it: it reconnects, and what was in its hands is done again."""
    stack = new_stack(keeps_data=True)
    client = stack.client(timeout_s=DEADLINE_S)
    worker = stack.start_worker(queue=BULK)
    jobs = {f"busy {k}": client.submit_encrypt_many(pairs_of(f"busy {k}", 500)) for k in range(60)}
    next(iter(jobs.values())).collect()
    stack.broker.kill()
    stack.broker.start()
    values = collect_elsewhere(stack, [job.handle for job in jobs.values()])
    expected = [stack.keystore.expected_encrypted(pairs_of(name, 500)) for name in jobs]
    assert (values == expected, worker.is_running) == (True, True)
