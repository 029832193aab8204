"""Standing back for other programs of the host."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

IDLE: Final = 19
"""The nice value that also asks for the policy SCHED_IDLE."""


def stand_back(nice: int) -> None:
    """Lower this process's priority, and that of every thread and child it starts from now on.

    A nice value only shares time out: a program that wakes up still waits until whoever runs has
    had a slice of some milliseconds, many times what a quick call takes. Under SCHED_IDLE it takes
    the core at once. Both count between programs of one session and one control group (sched(7)).

    Args:
        nice: 0 to 19, added to the present value; 19 runs only where nobody else wants to.
    """
    os.nice(nice)
    if nice == IDLE and hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # some containers forbid it; the nice value has to do then
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
