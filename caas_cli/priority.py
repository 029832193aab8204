"""Standing back for other programs of the host: what a lower priority takes on Linux."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

AUTOGROUP: Final = Path("/proc/self/autogroup")
"""The kernel shares cores between sessions first (sched(7), autogroups): within its own session a
lone program's nice value counts for nothing."""


def stand_back(nice: int) -> None:
    """Lower this process's priority, and that of every thread and child it starts from now on.

    Args:
        nice: 0 to 19, added to the present value.
    """
    os.nice(nice)
    is_alone = os.getsid(0) == os.getpid()
    if nice and is_alone:
        # Absent where the kernel has none, and not writable in some containers.
        with suppress(OSError):
            AUTOGROUP.write_text(str(nice))
