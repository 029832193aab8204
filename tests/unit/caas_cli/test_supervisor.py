"""Child processes: started again when they die, stopped in order, killed when they won't stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

from caas_cli import supervisor as module
from caas_cli.exit_codes import ExitCode
from caas_cli.log import Log
from caas_cli.supervisor import Part, Supervisor

DEADLINE_S = 30.0
SLEEPER = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER


class Lines(Log):
    """A log whose lines a test can wait for."""

    def __init__(self) -> None:
        super().__init__(["x"])
        self.seen: list[str] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def line(self, name: str, text: str) -> None:
        self.seen.append(f"{name}: {text}")
        task = asyncio.create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until so many lines hold the text."""
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(lambda: sum(text in s for s in self.seen) >= times)

    def pids(self) -> list[int]:
        return [int(line.split("(pid ")[1][:-1]) for line in self.seen if "(pid " in line]


def part(name: str, program: str, **options: Any) -> Part:
    return Part(name, [sys.executable, "-c", program], dict(os.environ), **options)


def supervised(parts: list[Part], scenario: Callable[[Supervisor, Lines], Any]) -> Lines:
    """Run a scenario with started parts; all are stopped after it."""

    async def run() -> Lines:
        log = Lines()
        supervisor = Supervisor(parts, log)
        supervisor.start()
        try:
            await scenario(supervisor, log)
        finally:
            await supervisor.stop(asyncio.Event())
        return log

    return asyncio.run(run())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_dead_part_is_started_again() -> None:
    """A part that is killed gets a new process."""

    async def scenario(_supervisor: Supervisor, log: Lines) -> None:
        await log.wait_for("a: up")
        os.kill(log.pids()[0], signal.SIGKILL)
        await log.wait_for("a: up", times=2)

    log = supervised([part("a", SLEEPER)], scenario)
    assert len(set(log.pids())) == 2


def test_pause_grows_while_a_part_keeps_dying() -> None:
    """A part that dies at once is started ever less often."""

    async def scenario(_supervisor: Supervisor, log: Lines) -> None:
        await log.wait_for("ended with exit code 3", times=3)

    log = supervised([part("a", "raise SystemExit(3)")], scenario)
    pauses = [line.split(" in ")[1] for line in log.seen if "restarting in" in line]
    assert pauses[:3] == ["0.1 s", "0.2 s", "0.4 s"]


def test_stopping_leaves_no_process() -> None:
    """After `stop` every child is gone."""

    async def scenario(_supervisor: Supervisor, log: Lines) -> None:
        await log.wait_for("up", times=2)

    log = supervised([part("a", SLEEPER), part("b", SLEEPER)], scenario)
    assert [pid for pid in log.pids() if is_alive(pid)] == []


def test_parts_are_stopped_in_their_order() -> None:
    """A part of a later order is still there when one of an earlier order says its last word."""
    last_word = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), "
        "sys.exit())); print('up', flush=True); signal.pause()"
    )

    async def scenario(_supervisor: Supervisor, log: Lines) -> None:
        await log.wait_for("up", times=2)

    log = supervised([part("later", last_word, stop_order=1), part("earlier", last_word)], scenario)
    assert [line for line in log.seen if "bye" in line] == ["earlier: bye", "later: bye"]


def test_part_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that ignores SIGTERM is killed after the grace time."""
    monkeypatch.setattr(module, "GRACE_S", 0.01)

    async def scenario(_supervisor: Supervisor, log: Lines) -> None:
        await log.wait_for("up")

    log = supervised([part("a", STUBBORN)], scenario)
    assert "caas: a did not stop; killing it" in log.seen


def test_hurry_kills_without_waiting() -> None:
    """A second Ctrl-C does not wait for the grace time."""

    async def run() -> list[str]:
        log = Lines()
        supervisor = Supervisor([part("a", STUBBORN)], log)
        supervisor.start()
        await log.wait_for("up")
        hurry = asyncio.Event()
        hurry.set()
        async with asyncio.timeout(module.GRACE_S):
            await supervisor.stop(hurry)
        return log.seen

    assert "caas: a did not stop; killing it" in asyncio.run(run())


def test_part_that_waits_for_its_restart_stays_down() -> None:
    """Stopping between two runs of a part starts nothing."""

    async def scenario(_supervisor: Supervisor, log: Lines) -> None:
        await log.wait_for("restarting in 0.4 s")

    log = supervised([part("a", "raise SystemExit(3)")], scenario)
    assert sum("started" in line for line in log.seen) == 3


def test_wrong_configuration_before_ready_is_final() -> None:
    """A part that refuses its settings at the start is not started for ever."""

    async def scenario(supervisor: Supervisor, _log: Lines) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await supervisor.refused.wait()

    log = supervised([part("a", f"raise SystemExit({ExitCode.CONFIGURATION})")], scenario)
    assert sum("started" in line for line in log.seen) == 1


def test_wrong_configuration_after_ready_is_tried_again() -> None:
    """A keystore that is damaged while the service runs may be put right again."""

    async def scenario(supervisor: Supervisor, log: Lines) -> None:
        supervisor.ready()
        await log.wait_for("started", times=2)

    log = supervised([part("a", f"raise SystemExit({ExitCode.CONFIGURATION})")], scenario)
    assert sum("started" in line for line in log.seen) >= 2


def test_program_that_can_not_be_started_is_tried_again() -> None:
    """A missing program is told and tried again, like one that dies."""

    async def scenario(_supervisor: Supervisor, log: Lines) -> None:
        await log.wait_for("cannot be started", times=2)

    missing = Part("a", ["/nonexistent/program"], {})
    log = supervised([missing], scenario)
    assert "caas: a cannot be started: FileNotFoundError; restarting in 0.1 s" in log.seen


def test_secrets_of_a_part_are_in_no_repr() -> None:
    """The environment holds the broker's password."""
    assert "secret" not in repr(Part("a", ["x"], {"CAAS_BROKER_URL": "redis://:secret@h"}))
