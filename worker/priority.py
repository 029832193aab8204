"""Standing back for other programs of the host: the threads that hash passwords, and no other."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Final

IDLE: Final = 19
"""The nice value that also asks for the policy SCHED_IDLE."""


class StandingBack:
    """Lowers the priority of each thread that enters, once; threads that it starts inherit it.

    A nice value only shares time out: a program that wakes up still waits until whoever runs has
    had a slice of some milliseconds, many times what a quick call takes. Under SCHED_IDLE it takes
    the core at once. Both count between programs of one session and one control group (sched(7)).
    The thread that fetches messages stays as it is: kept waiting, it would leave hashers idle.

    Args:
        nice: 0 to 19, added to the present value; 19 runs only where nobody else wants to.
    """

    def __init__(self, nice: int) -> None:
        self._nice = nice
        self._thread = threading.local()

    def enter(self) -> None:
        """Lower this thread's priority, unless that was done or it is the main thread."""
        is_main = threading.current_thread() is threading.main_thread()
        if is_main or getattr(self._thread, "has_entered", False):
            return
        self._thread.has_entered = True
        os.nice(self._nice)
        if self._nice == IDLE and hasattr(os, "SCHED_IDLE"):
            with suppress(OSError):  # some containers forbid it; the nice value has to do then
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
