"""The pulse of a worker: a file touched from its consumer's timer and while its broker is away."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from caas_tasks.broker_transport import Connection
from caas_tasks.celery_app import create_app
from worker.pulse import BEAT_S, Pulse, connect


def test_beat_touches_the_file(tmp_path: Path) -> None:
    """The file is made, private, and its time moved on at each beat."""
    path = tmp_path / "health"
    pulse = Pulse(path)
    pulse.beat()
    assert path.stat().st_mode & 0o777 == 0o600
    os.utime(path, (1, 1))
    pulse.beat()
    assert path.stat().st_mtime > 1


def test_no_file_no_beat() -> None:
    """Without a file there is nothing to do."""
    Pulse(None).beat()


def test_link_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever can write to the folder can't make a worker touch another file."""
    target = tmp_path / "target"
    (tmp_path / "health").symlink_to(target)
    with caplog.at_level(logging.WARNING):
        Pulse(tmp_path / "health").beat()
    assert not target.exists()
    assert caplog.messages == ["the health file cannot be written: OSError"]


def test_step_beats_from_the_timer(tmp_path: Path) -> None:
    """The consumer's step beats at once, and then every few seconds."""
    app = create_app("redis://127.0.0.1:1")
    pulse = Pulse(tmp_path / "health")
    connect(app, pulse)
    (step,) = app.steps["consumer"]
    calls: list[Any] = []
    timer = SimpleNamespace(call_repeatedly=lambda *arguments: calls.append(arguments))
    step(SimpleNamespace()).start(SimpleNamespace(timer=timer))
    assert (tmp_path / "health").exists()
    assert calls == [(BEAT_S, pulse.beat)]


def test_each_try_to_connect_is_a_sign_of_life() -> None:
    """A worker that waits for its broker is well."""
    tries: list[str] = []
    connection = Connection("caasredis://127.0.0.1:1/0")
    connection.on_try = lambda: tries.append("own")
    with pytest.raises(connection.connection_errors):
        connection.ensure_connection(
            max_retries=1,
            interval_start=0,
            interval_step=0,
            callback=lambda: tries.append("given"),
            reraise_as_library_errors=False,
        )
    connection.release()
    assert tries[:2] == ["own", "given"]
