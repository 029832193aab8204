"""The pulse of a worker: a file whose age says whether its loop goes on.

Its consumer's timer touches it, and so does each try to reach a broker that is away: a worker that
waits for its broker is well. `caas healthcheck worker` reads the age and asks nobody. Without
`CAAS_HEALTH_FILE` there is none.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Final

from celery import Celery, bootsteps

BEAT_S: Final = 5.0
"""How often a worker touches its file; a long operation of the solo pool delays it."""

logger = logging.getLogger(__name__)


class Pulse:
    """Touches a file; does nothing without one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def beat(self) -> None:
        """Set the file's time to now. A file that can't be written is told in the log."""
        if self._path is None:
            return
        problem = ""
        try:
            # Not through a link: the folder may be one that others write to.
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._path, flags, 0o600)
            try:
                os.utime(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            problem = type(error).__name__
        if problem:
            logger.warning("the health file cannot be written: %s", problem)


def connect(app: Celery, pulse: Pulse) -> None:
    """Beat in each worker of an app, from its consumer's timer and while its broker is away."""

    class Beating(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, parent: Any) -> None:
            pulse.beat()
            # The timer is emptied when the connection is lost, and this step starts again then.
            parent.timer.call_repeatedly(BEAT_S, pulse.beat)

    app.steps["consumer"].add(Beating)
    app.pulse = pulse
