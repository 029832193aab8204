"""64 callers, while workers are killed, the broker restarted and connections cut.

Every call gets its own right answer or a typed error before its deadline; none hangs, none is
answered twice; none fails that had a worker and five seconds left after the last fault. `SOAK_SEED`
and `SOAK_SECONDS` ask for other runs; the same seed gives the same faults and calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from rig.callers import Judge, counted_answers, run_tasks, run_threads
from rig.chaos import Chaos
from rig.oracle import Oracle
from rig.stack import Stack

pytestmark = pytest.mark.soak

TIMEOUT_S = 10.0
SLACK_S = 1.0
"""How late a call may end: 64 callers and the faults share two cores."""

CALM_S = 5.0
CALLS_PER_S = 100_000 / 60


def unexcused(judge: Judge, chaos: Chaos) -> list[str]:
    """Errors of calls that had a worker and no fault for `CALM_S` before their deadline.

    An error that is neither a timeout nor an unreachable broker has no excuse.
    """
    return [
        f"{failure.error} at {failure.ended_at - chaos.started_at:.2f} s"
        for failure in judge.failures
        if failure.error not in {"RequestTimeoutError", "ServiceUnavailableError"}
        or chaos.was_calm(failure.deadline - CALM_S, failure.ended_at)
    ]


def verdict(judge: Judge, chaos: Chaos, hanging: int, counts: dict[str, int]) -> dict[str, Any]:
    """What must not be, each empty or zero in a good run."""
    return {
        "hanging": hanging,
        "wrong": judge.wrong[:5],
        "untyped": [failure.error for failure in judge.failures if not failure.is_typed][:5],
        "late": [judge.longest_s] if judge.longest_s > TIMEOUT_S + SLACK_S else [],
        "answered twice": counts["again"],
        "failed in calm": unexcused(judge, chaos)[:5],
        "workers that ended by themselves": len(chaos.fleet.dead),
    }


GOOD: dict[str, Any] = {
    "hanging": 0,
    "wrong": [],
    "untyped": [],
    "late": [],
    "answered twice": 0,
    "failed in calm": [],
    "workers that ended by themselves": 0,
}


def story(name: str, chaos: Chaos, judge: Judge) -> str:
    kinds = [fault.kind for fault, _, _ in chaos.done]
    faults = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    return f"chaos with {name}: {judge.summary()}; {faults}"


def test_threads_survive_chaos(
    new_stack: Callable[..., Stack],
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    duration_s: float,
    say: Callable[[str], None],
) -> None:
    """Calls of 64 threads through one client end as promised."""
    stack = new_stack()
    chaos = Chaos(stack, seed, duration_s)
    judge = Judge(Oracle(stack.keystore), TIMEOUT_S)
    client = stack.client(timeout_s=TIMEOUT_S)
    chaos.start()
    with counted_answers(monkeypatch) as counts:
        hanging = run_threads(client, judge, chaos.ends_at, TIMEOUT_S + SLACK_S)
    chaos.finish()
    say(story("threads", chaos, judge))
    found = verdict(judge, chaos, hanging, counts)
    assert (found, judge.calls >= CALLS_PER_S * duration_s) == (GOOD, True)


def test_tasks_survive_chaos(
    new_stack: Callable[..., Stack],
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    duration_s: float,
    say: Callable[[str], None],
) -> None:
    """Calls of 64 asyncio tasks through one client end as promised."""
    stack = new_stack()
    chaos = Chaos(stack, seed, duration_s)
    judge = Judge(Oracle(stack.keystore), TIMEOUT_S)

    async def run() -> int:
        async with stack.async_client(timeout_s=TIMEOUT_S) as client:
            return await run_tasks(client, judge, chaos.ends_at, TIMEOUT_S + SLACK_S)

    chaos.start()
    with counted_answers(monkeypatch) as counts:
        hanging = asyncio.run(run())
    chaos.finish()
    say(story("asyncio", chaos, judge))
    found = verdict(judge, chaos, hanging, counts)
    assert (found, judge.calls >= CALLS_PER_S * duration_s) == (GOOD, True)
