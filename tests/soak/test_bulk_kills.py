"""Bulk jobs while the workers of the lane are killed: each is collected, and right."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest
from rig.bulk import collect_elsewhere, pairs_of
from rig.fleet import Fleet
from rig.process import DEADLINE_S
from rig.stack import Stack

from caas_tasks import job_ledger
from caas_tasks.names import Lane

pytestmark = pytest.mark.soak

JOBS = 500
PAIRS = 300
WORKERS = 3
MIN_KILLS = 10
MAX_KILLS = 40
MAX_LIFE_S = 0.3
"""A worker gets `kill -9` at most so long after it began; the backlog takes them seconds."""


def kill_at_random(stack: Stack, fleet: Fleet, choice: random.Random) -> int:
    """Kill and replace workers that have just begun, while jobs are open; how many were killed."""
    pause = threading.Event()
    with stack.broker.connect() as broker:
        while fleet.kills < MAX_KILLS and broker.zcard(job_ledger.JOBS_KEY):
            fleet.wait_for_oldest()
            pause.wait(choice.uniform(0, MAX_LIFE_S))
            fleet.kill_oldest()
            fleet.start()
    return fleet.kills


def test_all_jobs_survive_killed_workers(
    new_stack: Callable[..., Stack], seed: int, say: Callable[[str], None]
) -> None:
    """500 jobs over workers that get `kill -9`: another process collects all, and all are right."""
    stack = new_stack()
    client = stack.client(timeout_s=DEADLINE_S)
    names = [f"job {number}" for number in range(JOBS)]
    handles = [client.submit_encrypt_many(pairs_of(name, PAIRS)).handle for name in names]
    # Now only: workers that find a backlog are killed at work, whatever the machine's pace.
    fleet = Fleet(stack, Lane.BULK.value)
    for _ in range(WORKERS):
        fleet.start()
    kills = kill_at_random(stack, fleet, random.Random(seed))
    values = collect_elsewhere(stack, handles)
    expected = [stack.keystore.expected_encrypted(pairs_of(name, PAIRS)) for name in names]
    wrong = [name for name, got, want in zip(names, values, expected, strict=True) if got != want]
    say(f"bulk: {JOBS} jobs of {PAIRS} pairs, {kills} workers killed, {len(wrong)} jobs wrong")
    assert (wrong, kills >= MIN_KILLS) == ([], True)
