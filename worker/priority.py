"""Standing back for other programs of the host: the threads that hash passwords, and no other."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

AUTOGROUP: Final = Path("/proc/self/autogroup")


class StandingBack:
    """Lowers the priority of each thread that enters, once; threads that it starts inherit it.

    Linux may share time out between sessions first (sched(7), "The autogroup feature"), and then a
    nice value counts only within one. So a process that leads its session lowers the session too.
    One that doesn't leads nobody else's: its terminal's shell would be slowed with it. Between
    control groups, as containers have, neither counts: give theirs a small weight.

    Not SCHED_IDLE: behind it a quick program waited for the next clock tick, 4 ms, in one call of
    fifty (Linux 6.18, benchmarks/README.md). And within the process the thread that fetches
    messages comes first: kept waiting, it would leave hashers without work.

    Args:
        nice: 0 to 19: added to a thread's value, and the session's value.
        autogroup: where the kernel takes a session's nice value.
    """

    def __init__(self, nice: int, autogroup: Path = AUTOGROUP) -> None:
        self._nice = nice
        self._autogroup = autogroup
        self._thread = threading.local()
        self._is_session_done = nice == 0 or os.getsid(0) != os.getpid()

    def enter(self) -> None:
        """Lower this thread's priority, unless that was done or it is the main thread."""
        if threading.current_thread() is threading.main_thread():
            return
        if not getattr(self._thread, "has_entered", False):
            self._thread.has_entered = True
            os.nice(self._nice)
        if not self._is_session_done:
            self._is_session_done = self._lower_session()

    def _lower_session(self) -> bool:
        """Whether there is no more to do."""
        try:
            self._autogroup.write_text(str(self._nice))
        except BlockingIOError:
            return False  # the kernel takes one of these each 0.1 s: the next password asks again
        except OSError:
            return True  # no such kernel or no such right: the threads' own values have to do
        return True
