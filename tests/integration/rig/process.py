"""A child process whose output can be waited for, line by line."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[3]
DEADLINE_S: Final = 60.0
"""How long to wait for what must happen; reached only when it does not."""


class LoggedProcess:
    """Runs a program from the project's root and keeps all it writes.

    Args:
        env: on top of this process's own environment; None takes a variable out.
        leads_session: has a session of its own, as in a container or under a supervisor.
    """

    def __init__(
        self,
        args: Sequence[str],
        env: Mapping[str, str | None] | None = None,
        *,
        leads_session: bool = False,
    ) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._at_end = False
        self._popen = subprocess.Popen(
            list(args),
            cwd=PROJECT,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=leads_session,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream = self._popen.stdout
        if stream is None:
            return
        with stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line.decode(errors="replace"))
                    self._changed.notify_all()
        with self._changed:
            self._at_end = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def log(self) -> str:
        """All that was written so far."""
        with self._changed:
            return "".join(self._lines)

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def wait_for(self, text: str, *, after: int = 0, deadline_s: float = DEADLINE_S) -> int:
        """Wait until a line holds `text`; the number of lines up to and with it.

        Args:
            after: how many lines to pass over, such as this method returned.
        """
        end = time.monotonic() + deadline_s
        with self._changed:
            while True:
                for index in range(after, len(self._lines)):
                    if text in self._lines[index]:
                        return index + 1
                after = len(self._lines)
                left_s = end - time.monotonic()
                if self._at_end or left_s <= 0:
                    tail = "".join(self._lines[-40:])
                    raise AssertionError(f"{text!r} was not written:\n{tail}")
                self._changed.wait(left_s)

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        """Wait for the end; the exit code."""
        code = self._popen.wait(deadline_s)
        self._reader.join(deadline_s)
        return code

    def terminate(self) -> None:
        """Send SIGTERM to this one process."""
        self._popen.terminate()

    def kill(self) -> None:
        """`kill -9`, and wait for the end."""
        self._popen.kill()
        self.wait()

    def stop(self) -> None:
        """SIGTERM; SIGKILL when that is not enough."""
        if self.is_running:
            self._popen.terminate()
        try:
            self.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


def environment(changes: Mapping[str, str | None] | None) -> dict[str, str]:
    """This process's environment without any `CAAS_` variable, and with some changes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAAS_")}
    # The test programs and plugins import `rig`, and all import this project.
    paths = [str(PROJECT), str(PROJECT / "tests" / "integration"), kept.get("PYTHONPATH", "")]
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    kept["PYTHONUNBUFFERED"] = "1"
    for name, value in (changes or {}).items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = value
    return kept
