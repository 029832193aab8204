"""Child processes: started together, restarted when they die, stopped in order, never left behind.

A child gets its own session, so that Ctrl-C reaches the supervisor alone and it decides the
order. On Linux the kernel kills a child whose supervisor dies, however it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from caas_cli.exit_codes import ExitCode
from caas_cli.log import Log

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
STEADY_S: Final = 10.0
"""A child that ran this long is restarted with the first pause again."""
GRACE_S: Final = 15.0
"""How long a child may take to finish what it has begun, in seconds, before it is killed."""

SUPERVISOR: Final = "caas"
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class Part:
    """One child process.

    Attributes:
        stop_order: parts of a lower number have ended before those of a higher one are stopped.
        pass_fds: file descriptors that the child inherits.
        hidden: lines of its output that hold this text are not shown.
    """

    name: str
    command: Sequence[str] = field(repr=False)
    environment: dict[str, str] = field(repr=False)
    stop_order: int = 0
    pass_fds: tuple[int, ...] = ()
    hidden: str = ""


class Supervisor:
    """Runs parts until told to stop.

    Attributes:
        refused: set when a part ended with the exit code for a wrong configuration before `ready`.
    """

    def __init__(self, parts: Sequence[Part], log: Log) -> None:
        self._parts = list(parts)
        self._log = log
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._stopping: set[str] = set()
        self._is_ready = False
        self.refused = asyncio.Event()

    def start(self) -> None:
        """Start every part at once; each is kept running from here on."""
        for part in self._parts:
            self._keepers[part.name] = asyncio.create_task(self._keep(part), name=part.name)

    def ready(self) -> None:
        """From now on a part that ends is restarted, whatever its exit code."""
        self._is_ready = True

    async def stop(self, hurry: asyncio.Event) -> None:
        """Stop the parts in their order and wait until all are gone.

        Args:
            hurry: when set, whatever still runs is killed at once.
        """
        for order in sorted({part.stop_order for part in self._parts}):
            names = [part.name for part in self._parts if part.stop_order == order]
            await asyncio.gather(*(self._stop(name, hurry) for name in names))

    async def _keep(self, part: Part) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            started_at = time.monotonic()
            ending, is_refusal = await self._once(part)
            if part.name in self._stopping:
                return
            if is_refusal and not self._is_ready:
                self.refused.set()
                return
            if time.monotonic() - started_at >= STEADY_S:
                pause_s = FIRST_PAUSE_S
            self._log.line(SUPERVISOR, f"{part.name} {ending}; restarting in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _once(self, part: Part) -> tuple[str, bool]:
        """Run a part to its end; how it ended, and whether it refused its configuration."""
        try:
            code = await self._run(part)
        except OSError as error:
            # The program is gone, or there are no processes left to have: both may pass.
            return f"cannot be started: {type(error).__name__}", False
        return _ending(code), code == ExitCode.CONFIGURATION

    async def _run(self, part: Part) -> int:
        process = await asyncio.create_subprocess_exec(
            *part.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=part.environment,
            pass_fds=part.pass_fds,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        self._running[part.name] = process
        self._log.line(SUPERVISOR, f"{part.name} started (pid {process.pid})")
        copying = asyncio.create_task(self._log.copy(part.name, _output_of(process), part.hidden))
        try:
            code = await process.wait()
            # What it wrote last. A process that it started and left behind may hold the pipe open.
            await asyncio.wait([copying], timeout=1)
            return code
        finally:
            copying.cancel()
            self._running.pop(part.name, None)

    async def _stop(self, name: str, hurry: asyncio.Event) -> None:
        self._stopping.add(name)
        keeper = self._keepers[name]
        process = self._running.get(name)
        if process is not None:
            await self._end(name, process, hurry)
        else:
            # Between two runs. A start under way is undone by asyncio, which kills the child.
            keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper

    async def _end(
        self, name: str, process: asyncio.subprocess.Process, hurry: asyncio.Event
    ) -> None:
        ended = asyncio.ensure_future(process.wait())
        hurried = asyncio.ensure_future(hurry.wait())
        _send(process, signal.SIGTERM)
        await asyncio.wait([ended, hurried], timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not ended.done():
            self._log.line(SUPERVISOR, f"{name} did not stop; killing it")
            _send(process, signal.SIGKILL)
        await ended


def _output_of(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise RuntimeError("a child was started without a pipe")
    return process.stdout


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _die_with_parent() -> Callable[[], None] | None:
    """What the child runs before its program; None where the kernel has no such request."""
    if not sys.platform.startswith("linux"):
        return None
    # Looked up before the fork: between fork and exec the child may do next to nothing.
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        # SIGKILL: the broker dies with the supervisor, so no answer could be delivered any more.
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel
