"""A client that takes none of its replies delays no other client."""

from __future__ import annotations

import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from rig.process import DEADLINE_S, LoggedProcess
from rig.stack import Stack

from caas_tasks.redis_url import parse_broker_url
from producer_client import Client, ServiceError
from producer_client.redis_transport import RedisTransport

pytestmark = pytest.mark.soak

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
CALLS = 3_000
STUCK_CALLERS = 200
MAX_SLOWER = 2.0
"""How many times as long the middle call may take: what a stuck client resends costs a little."""


def lone_calls_s(client: Client) -> list[float]:
    """How long calls take, one after the other; each must be answered."""
    took_s = []
    for number in range(CALLS):
        started_at = time.monotonic()
        client.encrypt(USER, f"lone {number}")
        took_s.append(time.monotonic() - started_at)
    return took_s


def story(name: str, alone: list[float], beside: list[float]) -> str:
    return (
        f"{name}: p50 {statistics.median(alone) * 1_000:.2f} ms alone, "
        f"{statistics.median(beside) * 1_000:.2f} ms beside it; longest {max(alone) * 1_000:.1f} "
        f"and {max(beside) * 1_000:.1f} ms"
    )


def test_stopped_client_delays_no_other(
    new_stack: Callable[..., Stack], say: Callable[[str], None]
) -> None:
    """A client process that is stopped in the midst of its calls holds nobody up, then goes on."""
    stack = new_stack()
    stack.start_worker()
    client = stack.client()
    stack.wait_until_ready()
    alone = lone_calls_s(client)
    program = [sys.executable, "-m", "rig.programs.busy_client"]
    busy = LoggedProcess(program, stack.env)
    try:
        seen = busy.wait_for("calls go on")
        os.kill(busy.pid, signal.SIGSTOP)
        beside = lone_calls_s(client)
        os.kill(busy.pid, signal.SIGCONT)
        busy.wait_for("calls go on", after=seen + 1)
    finally:
        busy.kill()
    say(story("stopped client", alone, beside))
    assert statistics.median(beside) <= MAX_SLOWER * statistics.median(alone)


class StuckTransport(RedisTransport):
    """A transport whose reader does not come back, until `let_go`."""

    def __init__(self, broker_url: str) -> None:
        self.let_go = threading.Event()
        super().__init__(parse_broker_url(broker_url))

    def receive(self, timeout_s: float) -> list[Any]:
        """Wait to be let go, then as ever."""
        self.let_go.wait()
        return super().receive(timeout_s)


def test_stuck_reader_delays_no_other(
    new_stack: Callable[..., Stack], say: Callable[[str], None]
) -> None:
    """A reader thread that is stuck holds up its own client's calls alone; let go, they end."""
    stack = new_stack()
    stack.start_worker()
    client = stack.client()
    stack.wait_until_ready()
    alone = lone_calls_s(client)
    transport = StuckTransport(stack.broker.url)
    stuck = stack.client(transport=transport, timeout_s=DEADLINE_S)
    answers: list[str] = []

    def call(number: int) -> None:
        with suppress(ServiceError):
            answers.append(stuck.encrypt(USER, f"stuck {number}").encrypted_data)

    callers = [threading.Thread(target=call, args=(n,)) for n in range(STUCK_CALLERS)]
    for caller in callers:
        caller.start()
    beside = lone_calls_s(client)
    answered_meanwhile = len(answers)
    transport.let_go.set()
    for caller in callers:
        caller.join()
    say(story("stuck reader", alone, beside))
    is_delayed = statistics.median(beside) > MAX_SLOWER * statistics.median(alone)
    assert (is_delayed, answered_meanwhile, len(answers)) == (False, 0, STUCK_CALLERS)
