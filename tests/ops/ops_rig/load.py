"""A steady load of calls, with what became of each."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from producer_client import AsyncClient, ServiceError

UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"


@dataclass
class Outcome:
    """What became of a load's calls.

    Attributes:
        right: calls that got their right answer.
        wrong: calls that got another one.
        failed: typed errors by code.
        untyped: other exceptions by class.
        answered_at_s: when answers came, seconds since the start.
    """

    right: int = 0
    wrong: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    untyped: Counter[str] = field(default_factory=Counter)
    answered_at_s: list[float] = field(default_factory=list)
    slowest_s: float = 0.0

    @property
    def calls(self) -> int:
        return self.right + self.wrong + self.failed.total() + self.untyped.total()

    @property
    def longest_pause_s(self) -> float:
        """Longest time between two answers."""
        times = sorted(self.answered_at_s)
        return max((b - a for a, b in pairwise(times)), default=0.0)

    def __str__(self) -> str:
        return (
            f"{self.calls} calls, {self.right} right, {self.wrong} wrong, "
            f"failed {dict(self.failed)}, untyped {dict(self.untyped)}, "
            f"longest pause {self.longest_pause_s:.2f} s, slowest call {self.slowest_s:.2f} s"
        )


async def run(
    client: AsyncClient,
    expected: Sequence[str],
    *,
    rate: int,
    seconds: float,
    disturb: Callable[[], Awaitable[None]],
) -> Outcome:
    """Call `encrypt` at a steady rate, and disturb the service after a fifth of the calls.

    Args:
        expected: the right answers for data "0", "1" and so on; used in turn.
    """
    outcome = Outcome()
    start = time.monotonic()
    calls = int(rate * seconds)
    moment = asyncio.Event()

    async def disturb_then() -> None:
        await moment.wait()
        await disturb()

    async def call(number: int) -> None:
        began = time.monotonic()
        try:
            answer = await client.encrypt(UUID, str(number))
        except ServiceError as error:
            outcome.failed[error.code] += 1
        except Exception as error:  # noqa: BLE001 - that is what is counted
            outcome.untyped[type(error).__name__] += 1
        else:
            if answer.encrypted_data == expected[number]:
                outcome.right += 1
            else:
                outcome.wrong += 1
            outcome.answered_at_s.append(time.monotonic() - start)
        outcome.slowest_s = max(outcome.slowest_s, time.monotonic() - began)
        if outcome.calls == calls // 5:
            moment.set()

    tasks = [asyncio.create_task(disturb_then())]
    for turn in range(calls):
        await asyncio.sleep(max(0.0, start + turn / rate - time.monotonic()))
        tasks.append(asyncio.create_task(call(turn % len(expected))))
    await asyncio.gather(*tasks)
    return outcome
