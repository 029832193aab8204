"""Workers that a test kills and starts again, and when there was one alive."""

from __future__ import annotations

import random
import threading
import time
from typing import Final

from rig.process import LoggedProcess
from rig.stack import Stack

READY: Final = "ready."


class Fleet:
    """The workers of one lane. One thread kills and starts; any may look at the times.

    Args:
        queue: the lane's queue.
    """

    def __init__(self, stack: Stack, queue: str) -> None:
        self._stack = stack
        self._queue = queue
        self._alive: list[LoggedProcess] = []
        self._ready_at: dict[int, float] = {}
        self._killed_at: dict[int, float] = {}

    @property
    def size(self) -> int:
        """How many run, those included that are not ready yet."""
        return len(self._alive)

    @property
    def dead(self) -> list[LoggedProcess]:
        """Workers that ended though nobody killed them."""
        return [worker for worker in self._alive if not worker.is_running]

    @property
    def kills(self) -> int:
        return len(self._killed_at)

    def start(self) -> None:
        """Start one more."""
        worker = self._stack.start_worker("--loglevel=INFO", queue=self._queue)
        self._alive.append(worker)
        threading.Thread(target=self._note_ready, args=(worker,), daemon=True).start()

    def _note_ready(self, worker: LoggedProcess) -> None:
        try:
            worker.wait_for(READY)
        except AssertionError:
            return  # killed before it was ready
        self._ready_at[worker.pid] = time.monotonic()

    def wait_until_ready(self) -> None:
        """Wait until all have said that they are ready."""
        for worker in self._alive:
            worker.wait_for(READY)

    def wait_for_oldest(self) -> None:
        """Wait until the one that was started first is ready."""
        self._alive[0].wait_for(READY)

    def kill_oldest(self) -> None:
        """`kill -9` of the one that was started first."""
        self._kill(0)

    def kill_one(self, choice: random.Random) -> None:
        """`kill -9` of one of them; nothing happens when there is none."""
        if self._alive:
            self._kill(choice.randrange(len(self._alive)))

    def _kill(self, index: int) -> None:
        worker = self._alive.pop(index)
        self._killed_at[worker.pid] = time.monotonic()
        worker.kill()

    def was_alive(self, since: float, until: float) -> bool:
        """Whether one worker was ready for the whole of a span of monotonic seconds."""
        return any(
            ready_at <= since and self._killed_at.get(pid, until) >= until
            for pid, ready_at in list(self._ready_at.items())
        )
