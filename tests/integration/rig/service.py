"""`caas up` as an operator runs it: started, ready, its processes known, watched until they end."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from caas_cli import client_env
from rig.process import DEADLINE_S, PROJECT, LoggedProcess, environment
from worker.keystore import file
from worker.keystore.document import Keystore

CAAS: Final = (sys.executable, "-m", "caas_cli")
_STARTED: Final = re.compile(r"\| (\S+) started \(pid (\d+)\)")


def caas(home: Path, *args: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run one command to its end."""
    return subprocess.run(
        [*CAAS, *args],
        cwd=PROJECT,
        env=environment({"CAAS_HOME": str(home)}),
        input=data,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )


class UpProcess:
    """A running `caas up` on a free port."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.process = LoggedProcess(
            [*CAAS, "up", "--port", "0", *options], {"CAAS_HOME": str(home)}
        )

    def wait_until_ready(self) -> None:
        self.process.wait_for("Ctrl-C stops everything")

    @property
    def url(self) -> str:
        return self.client_options()[client_env.GATEWAY_URL]

    def client_options(self) -> dict[str, str]:
        """What client.env holds."""
        return client_env.read(self.home / "client.env")

    def pids(self) -> dict[str, int]:
        """The process that each part runs as now."""
        return {name: int(pid) for name, pid in _STARTED.findall(self.process.log)}

    def kill(self, part: str) -> None:
        """`kill -9` of one part."""
        os.kill(self.pids()[part], signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor alone."""
        os.kill(self.process.pid, number)

    def keystore(self) -> Keystore:
        """The keystore as it stands on disk."""
        identities = file.load_identities(self.home / "identity.txt")
        return file.load(self.home / "keystore.age", identities)


class Watch:
    """Watches processes, children or not, until they have ended."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._ends = {os.pidfd_open(pid): pid for pid in pids}

    def still_running(self, deadline_s: float = DEADLINE_S) -> list[int]:
        """Wait until all have ended; those that have not by the deadline."""
        waiting = dict(self._ends)
        while waiting:
            ended, _, _ = select.select(list(waiting), [], [], deadline_s)
            if not ended:
                break
            for descriptor in ended:
                waiting.pop(descriptor)
        for descriptor in self._ends:
            os.close(descriptor)
        return list(waiting.values())


def descendants(pid: int) -> list[int]:
    """All processes below one, as the kernel knows them."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found
