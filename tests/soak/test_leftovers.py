"""Cancelled and timed-out calls leave nothing behind: in the client, the broker, the worker.

What is measured before and after has been warmed up by the same calls, so that only growth with the
number of calls is seen. Margins are far below what one kept object a call would need; those of a
process's memory leave room for what its allocator keeps in pieces.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import pytest
from rig.process import DEADLINE_S, LoggedProcess
from rig.stack import Stack

from caas_tasks.names import Lane
from caas_tasks.reply_backend import INBOX_PREFIX
from producer_client import AsyncClient, Client, ServiceError
from producer_client.calls import Call
from producer_client.flights import Flight

pytestmark = pytest.mark.soak

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
GIVEN_UP: Final = 50_000
CALLS_OF_A_KIND: Final = 12_000
"""In five ways; some are answered before they are given up."""

AT_A_TIME: Final = 500

NEVER_EXPIRES: Final = -1
"""What Redis answers for a key without an expiry."""

MAX_BLOCKS: Final = 10_000
"""Growth of the interpreter's memory blocks: one kept call has at least eight."""

MAX_CLIENT_RSS_BYTES: Final = 16 * 2**20
MAX_WORKER_RSS_BYTES: Final = 8 * 2**20


def rss_bytes(pid: int) -> int:
    """The memory that a process has now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the process has ended")


@dataclass(frozen=True)
class Footprint:
    """What client, worker and broker hold.

    Attributes:
        calls: objects of calls and of messages on their way.
        blocks: the interpreter's memory blocks.
        broker_keys: all but inboxes.
        messages: what waits on the lanes.
        eternal_inboxes: lists of replies that would not go by themselves.
    """

    calls: int
    blocks: int
    threads: int
    client_bytes: int
    worker_bytes: int
    broker_keys: int
    messages: int
    eternal_inboxes: int

    @classmethod
    def now(cls, stack: Stack, worker: LoggedProcess) -> Footprint:
        gc.collect()
        with stack.broker.connect() as broker:
            inboxes = list(broker.scan_iter(INBOX_PREFIX + "*", count=1_000))
            broker_keys = broker.dbsize() - len(inboxes)
            messages = sum(broker.llen(lane.value) for lane in Lane)
            eternal = sum(broker.ttl(inbox) == NEVER_EXPIRES for inbox in inboxes)
        return cls(
            calls=sum(issubclass(type(thing), Call | Flight) for thing in gc.get_objects()),
            blocks=sys.getallocatedblocks(),
            threads=threading.active_count(),
            client_bytes=rss_bytes(os.getpid()),
            worker_bytes=rss_bytes(worker.pid),
            broker_keys=broker_keys,
            messages=messages,
            eternal_inboxes=eternal,
        )

    def growth(self, before: Footprint) -> dict[str, int]:
        """What has grown by more than its margin; empty when nothing has."""
        margins = {
            "blocks": MAX_BLOCKS,
            "client_bytes": MAX_CLIENT_RSS_BYTES,
            "worker_bytes": MAX_WORKER_RSS_BYTES,
        }
        grown = {
            field.name: getattr(self, field.name) - getattr(before, field.name)
            for field in fields(self)
        }
        return {name: more for name, more in grown.items() if more > margins.get(name, 0)}


async def in_portions(count: int, one: Callable[[int], Awaitable[int]]) -> int:
    """Run `one` for each number, `AT_A_TIME` together; the sum of what it gives."""
    total = 0
    for first in range(0, count, AT_A_TIME):
        numbers = range(first, min(count, first + AT_A_TIME))
        total += sum(await asyncio.gather(*(one(number) for number in numbers)))
    return total


async def cancel_tasks(client: AsyncClient, count: int, choice: random.Random) -> int:
    """Cancel calls that are queued, on their way or just answered; how many were cancelled."""

    async def one(number: int) -> int:
        task = asyncio.create_task(client.encrypt(USER, f"cancelled {number}"))
        for _ in range(choice.randrange(4)):
            await asyncio.sleep(0)
        if choice.random() < 0.5:
            await asyncio.sleep(choice.uniform(0, 0.02))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return int(task.cancelled())

    return await in_portions(count, one)


async def time_out_tasks(client: AsyncClient, count: int, timeout_s: float) -> int:
    """Let calls of tasks time out; how many did."""

    async def one(number: int) -> int:
        with suppress(ServiceError):
            await client.encrypt(USER, f"timed out {number}", timeout_s=timeout_s)
            return 0
        return 1

    return await in_portions(count, one)


def time_out_threads(client: Client, count: int, timeout_s: float) -> int:
    """Let calls of threads time out; how many did."""

    def one(number: int) -> int:
        with suppress(ServiceError):
            client.encrypt(USER, f"timed out {number}", timeout_s=timeout_s)
            return 0
        return 1

    with ThreadPoolExecutor(64) as pool:
        return sum(pool.map(one, range(count)))


def abandon(stack: Stack, worker: LoggedProcess, client: Client, count: int) -> list[int]:
    """Give `count` calls up in each of five ways; how many of each ended so."""
    choice = random.Random(count)

    async def tasks(timeout_s: float, *, may_cancel: bool) -> list[int]:
        async with stack.async_client(timeout_s=DEADLINE_S) as own:
            with suppress(ServiceError):
                await own.encrypt(USER, "connects", timeout_s=timeout_s)
            cancelled = [await cancel_tasks(own, count, choice)] if may_cancel else []
            return [*cancelled, await time_out_tasks(own, count, timeout_s)]

    with_worker = [*asyncio.run(tasks(0.002, may_cancel=True))]
    with_worker.append(time_out_threads(client, count, 0.002))
    # Stopped, not ended: its messages pile up, and it has all of them to go through afterwards.
    os.kill(worker.pid, signal.SIGSTOP)
    without_worker = [*asyncio.run(tasks(0.05, may_cancel=False))]
    without_worker.append(time_out_threads(client, count, 0.02))
    os.kill(worker.pid, signal.SIGCONT)
    client.ping(timeout_s=DEADLINE_S)  # answered after all that came before it
    return with_worker + without_worker


def test_abandoned_calls_leave_nothing(
    new_stack: Callable[..., Stack], say: Callable[[str], None]
) -> None:
    """After 50,000 calls that were cancelled or timed out, nothing has grown anywhere."""
    stack = new_stack()
    worker = stack.start_worker()
    client = stack.client(timeout_s=DEADLINE_S)
    client.ping()
    abandon(stack, worker, client, CALLS_OF_A_KIND)
    before = Footprint.now(stack, worker)
    ended = abandon(stack, worker, client, CALLS_OF_A_KIND)
    after = Footprint.now(stack, worker)
    say(f"leftovers: {sum(ended)} calls given up\n  before {before}\n  after  {after}")
    assert (after.growth(before), sum(ended) >= GIVEN_UP) == ({}, True)
