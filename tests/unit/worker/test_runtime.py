"""A worker process's service: there once the keystore is open, and not before."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caas_tasks.errors import ConfigurationError
from caas_tasks.names import Operation
from caas_tasks.settings import load_settings
from worker import runtime
from worker.keystore import file
from worker.keystore.document import Keystore
from worker.keystore.errors import KeystoreError
from worker.runtime import Runtime
from worker.settings import WorkerSettings


@pytest.fixture
def settings(
    tmp_path: Path, new_keystore: Callable[..., Keystore], identity: Any
) -> WorkerSettings:
    """Settings of a worker whose keystore and identity are there."""
    file.create(tmp_path / "k.age", new_keystore(recipients=[str(identity.to_public())]))
    (tmp_path / "identity.txt").write_text(str(identity))
    return load_settings(
        WorkerSettings,
        broker_url="redis://127.0.0.1:1",
        keystore=tmp_path / "k.age",
        identity=tmp_path / "identity.txt",
    )


def test_service_before_the_start() -> None:
    """A worker that has not opened its keystore has no service."""
    with pytest.raises(ConfigurationError) as caught:
        _ = Runtime().service
    assert str(caught.value) == "The worker has not opened its keystore."


def test_service_after_the_start(settings: WorkerSettings) -> None:
    """Once the keystore is open the service answers."""
    found = Runtime()
    found.start(settings)
    assert found.service is found.service
    assert found.service.answer(Operation.ENCRYPT, "id", "rubbish") == "unreadable"


def test_second_start_in_one_process(settings: WorkerSettings) -> None:
    """Celery's solo pool starts twice: the second time changes nothing."""
    found = Runtime()
    found.start(settings)
    service = found.service
    found.start(settings)
    assert found.service is service


def test_stop_ends_the_audit_log(settings: WorkerSettings, tmp_path: Path) -> None:
    """A worker that stops writes its log's last line, once."""
    found = Runtime()
    found.start(settings.model_copy(update={"audit_dir": tmp_path / "audit"}))
    (path,) = (tmp_path / "audit").iterdir()
    found.stop()
    found.stop()
    lines = path.read_text().splitlines()
    assert ['"event":"start"' in lines[0], '"event":"stop"' in lines[-1]] == [True, True]
    assert len(lines) == 2


def test_stop_leaves_what_the_parent_opened(
    settings: WorkerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child process that ends writes no last line into its parent's log."""
    found = Runtime()
    found.start(settings.model_copy(update={"audit_dir": tmp_path / "audit"}))
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    found.stop()
    (path,) = (tmp_path / "audit").iterdir()
    assert path.read_text().count("\n") == 1
    monkeypatch.undo()
    found.stop()


def test_start_without_keystore(settings: WorkerSettings) -> None:
    """A keystore that can't be read stops the start, and there is no service."""
    settings.keystore.unlink()
    found = Runtime()
    with pytest.raises(KeystoreError, match="not found"):
        found.start(settings)
    with pytest.raises(ConfigurationError):
        _ = found.service


def test_clock_counts_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's clock is Unix time in whole milliseconds."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_760_000_000_123_999_999)
    assert runtime._now_ms() == 1_760_000_000_123


def test_default_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings of its own a worker looks where `caas init` writes."""
    for name in ("KEYSTORE", "IDENTITY", "LOG_LEVEL"):
        monkeypatch.delenv(f"CAAS_{name}", raising=False)
    found = load_settings(WorkerSettings, broker_url="redis://127.0.0.1:1")
    assert found.keystore == Path(".caas/keystore.age")
    assert found.identity == Path(".caas/identity.txt")
    assert found.log_level == "INFO"


def test_wrong_log_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log level that there is not is refused by the variable's name."""
    monkeypatch.setenv("CAAS_LOG_LEVEL", "canary")
    with pytest.raises(ConfigurationError, match=r"^CAAS_LOG_LEVEL: ") as caught:
        load_settings(WorkerSettings, broker_url="redis://127.0.0.1:1")
    assert "canary" not in str(caught.value)
