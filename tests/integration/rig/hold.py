"""Holds one operation in a worker until the test lets it go, through two named pipes.

The worker loads `rig.plugins.hold`; the test makes a `Hold`, sends an item whose data is `HOLD` and
waits in `wait_until_begun`. A process holds once: the client's resend of the same message goes
straight through.
"""

from __future__ import annotations

import os
import select
from pathlib import Path
from typing import Final

HOLD: Final = "hold this operation"
FOLDER_VARIABLE: Final = "RIG_HOLD_FOLDER"


class Hold:
    """The test's side of the pipes.

    Args:
        folder: where the pipes are made; the worker gets it in `env`.
    """

    def __init__(self, folder: Path) -> None:
        self._begun = folder / "begun"
        self._go_on = folder / "go-on"
        os.mkfifo(self._begun)
        os.mkfifo(self._go_on)
        self._begun_end = os.open(self._begun, os.O_RDONLY | os.O_NONBLOCK)
        # Both directions, so that opening waits for nobody and what is written stays.
        self._go_on_end = os.open(self._go_on, os.O_RDWR)
        self.env = {FOLDER_VARIABLE: str(folder)}

    def wait_until_begun(self, deadline_s: float = 60.0) -> None:
        """Wait until a worker is inside the operation."""
        ready, _, _ = select.select([self._begun_end], [], [], deadline_s)
        if not ready:
            raise AssertionError("no worker began the operation")
        os.read(self._begun_end, 1)

    def release(self) -> None:
        """Let one held operation go on."""
        os.write(self._go_on_end, b"x")

    def close(self) -> None:
        os.close(self._begun_end)
        os.close(self._go_on_end)


def hold_in_worker() -> None:
    """The worker's side: say that the operation has begun, wait to go on."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    with (folder / "begun").open("wb", buffering=0) as begun:
        begun.write(b"x")
    with (folder / "go-on").open("rb", buffering=0) as go_on:
        go_on.read(1)
