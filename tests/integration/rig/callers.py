"""64 callers, threads or asyncio tasks, that call without a pause and judge every answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from producer_client import AsyncClient, Client, ServiceError, calls
from rig.oracle import Oracle, Question

CALLERS: Final = 64


@dataclass(frozen=True)
class Failure:
    """A call that ended with an error, and its monotonic times."""

    error: str
    is_typed: bool
    started_at: float
    deadline: float
    ended_at: float


class Judge:
    """Knows what every call must give and keeps what was not so.

    Args:
        timeout_s: of every call.
    """

    def __init__(self, oracle: Oracle, timeout_s: float) -> None:
        self.oracle = oracle
        self.timeout_s = timeout_s
        self.calls = 0
        self.wrong: list[tuple[str, Any]] = []
        self.failures: list[Failure] = []
        self.longest_s = 0.0
        self._lock = threading.Lock()

    def hear(
        self, question: Question, answer: Any, error: Exception | None, started_at: float
    ) -> None:
        """One call has ended."""
        ended_at = time.monotonic()
        is_wrong = error is None and answer != self.oracle.answer(question)
        with self._lock:
            self.calls += 1
            self.longest_s = max(self.longest_s, ended_at - started_at)
            if is_wrong:
                self.wrong.append((question.method, answer))
            if error is not None:
                is_typed = isinstance(error, ServiceError)
                deadline = started_at + self.timeout_s
                name = type(error).__name__
                self.failures.append(Failure(name, is_typed, started_at, deadline, ended_at))

    def summary(self) -> str:
        """One line: calls, errors by type, the longest wait."""
        errors = dict(Counter(failure.error for failure in self.failures))
        return (
            f"{self.calls} calls, {len(self.wrong)} wrong, errors {errors or 'none'}, "
            f"longest wait {self.longest_s:.2f} s"
        )


def run_threads(client: Client, judge: Judge, until: float, hang_s: float) -> int:
    """Let all callers call until a monotonic time; how many hang `hang_s` afterwards."""

    def one(caller: int) -> None:
        number = 0
        while time.monotonic() < until:
            question = judge.oracle.question(caller, number)
            answer, failure = None, None
            started_at = time.monotonic()
            try:
                answer = getattr(client, question.method)(*question.arguments)
            except Exception as error:  # noqa: BLE001 - the judge looks at its type
                failure = error
            judge.hear(question, answer, failure, started_at)
            number += 1

    threads = [threading.Thread(target=one, args=(n,), daemon=True) for n in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until + hang_s - time.monotonic()))
    return sum(thread.is_alive() for thread in threads)


async def run_tasks(client: AsyncClient, judge: Judge, until: float, hang_s: float) -> int:
    """The same with asyncio tasks."""

    async def one(caller: int) -> None:
        number = 0
        while time.monotonic() < until:
            question = judge.oracle.question(caller, number)
            answer, failure = None, None
            started_at = time.monotonic()
            try:
                answer = await getattr(client, question.method)(*question.arguments)
            except Exception as error:  # noqa: BLE001 - the judge looks at its type
                failure = error
            judge.hear(question, answer, failure, started_at)
            number += 1

    tasks = [asyncio.create_task(one(caller)) for caller in range(CALLERS)]
    _, hanging = await asyncio.wait(tasks, timeout=until + hang_s - time.monotonic())
    for task in hanging:
        task.cancel()
    return len(hanging)


@contextmanager
def counted_answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Counts outcomes given to calls, `given`, and those given to one that had one, `again`."""
    counts: Counter[str] = Counter()
    outcome = calls.Call.outcome

    class Counted:
        """Stands before a call's outcome; calls are many, so they carry nothing more."""

        def __get__(self, call: Any, _owner: Any) -> Any:
            return outcome.__get__(call)

        def __set__(self, call: Any, value: Any) -> None:
            if value is not None:
                has_one = getattr(call, "outcome", None) is not None
                counts["again" if has_one else "given"] += 1
            outcome.__set__(call, value)

    with monkeypatch.context() as patch:
        patch.setattr(calls.Call, "outcome", Counted())
        yield counts
