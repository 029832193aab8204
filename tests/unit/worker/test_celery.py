"""The worker's app: made without connecting, stopped by one line when something is wrong."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import celery.signals
import pytest
from celery.utils.dispatch import Signal

import worker
from caas_tasks.names import Operation
from worker import bulk
from worker import runtime as runtime_module
from worker.keystore import file
from worker.keystore.document import Keystore
from worker.runtime import Runtime

SIGNALS = (
    *("celeryd_init", "worker_process_init", "setup_logging"),
    *("worker_shutdown", "worker_process_shutdown"),
)
CHATTY = ("celery.worker.strategy", "celery.app.trace")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that names a broker and files which are not there yet."""
    monkeypatch.setenv("CAAS_BROKER_URL", "redis://:canary@127.0.0.1:1")
    monkeypatch.setenv("CAAS_KEYSTORE", str(tmp_path / "keystore.age"))
    monkeypatch.setenv("CAAS_IDENTITY", str(tmp_path / "identity.txt"))
    monkeypatch.setenv("CAAS_LOG_LEVEL", "WARNING")
    return tmp_path


@pytest.fixture
def load(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], ModuleType]]:
    """Imports the module anew, with signals and a runtime that no other test sees."""
    for name in SIGNALS:
        monkeypatch.setattr(celery.signals, name, Signal(name=name))
    for name in ("worker_ready", "worker_shutting_down"):
        monkeypatch.setattr(bulk, name, Signal(name=name))
    monkeypatch.setattr(runtime_module, "RUNTIME", Runtime())
    kept = sys.modules.pop("worker.celery", None)
    yield lambda: importlib.import_module("worker.celery")
    sys.modules.pop("worker.celery", None)
    vars(worker).pop("celery", None)
    if kept is not None:
        sys.modules["worker.celery"] = kept
        worker.celery = kept


@pytest.fixture
def keystore_file(home: Path, new_keystore: Callable[..., Keystore], identity: Any) -> Path:
    file.create(home / "keystore.age", new_keystore(recipients=[str(identity.to_public())]))
    (home / "identity.txt").write_text(str(identity))
    return home / "keystore.age"


def test_app_is_made_without_files_or_broker(load: Callable[[], ModuleType]) -> None:
    """Making the app opens no file and connects to nothing; all tasks are there."""
    app = load().app
    assert {operation.task_name for operation in Operation} <= set(app.tasks)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("CAAS_BROKER_URL", "amqp://:canary@host", "caas worker: CAAS_BROKER_URL: must be redis:"),
        ("CAAS_LOG_LEVEL", "canary", "caas worker: CAAS_LOG_LEVEL: "),
        ("CAAS_BROKER_INDEX", "1", "caas worker: CAAS_BROKER_INDEX: CAAS_BROKER_URL names 1."),
        (
            "CAAS_BROKER_URL",
            "redis://127.0.0.1:1,redis://127.0.0.1:2",
            "caas worker: CAAS_BROKER_INDEX: is not set; ",
        ),
    ],
)
def test_wrong_setting(
    load: Callable[[], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    line: str,
) -> None:
    """A wrong setting ends the process with one line that names it and shows no value."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        load()
    assert caught.value.code == 78
    written = capsys.readouterr().err
    assert written.startswith(line)
    assert written.count("\n") == 1
    assert "canary" not in written


def test_worker_serves_the_broker_of_its_index(
    load: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several brokers a worker attaches to one."""
    monkeypatch.setenv("CAAS_BROKER_URL", "redis://127.0.0.1:1,redis://127.0.0.1:2")
    monkeypatch.setenv("CAAS_BROKER_INDEX", "1")
    assert load().app.broker.display == "redis://127.0.0.1:2"


@pytest.mark.parametrize("signal", ["celeryd_init", "worker_process_init"])
def test_keystore_is_opened_at_the_start(
    load: Callable[[], ModuleType], keystore_file: Path, signal: str
) -> None:
    """The keystore is open before the worker, or its child process, takes a message."""
    module = load()
    getattr(celery.signals, signal).send(sender=None)
    assert module.RUNTIME.service.answer(Operation.ENCRYPT, "id", "rubbish") == "unreadable"


@pytest.mark.parametrize("signal", ["worker_shutdown", "worker_process_shutdown"])
def test_audit_log_ends_with_the_worker(
    load: Callable[[], ModuleType],
    keystore_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    signal: str,
) -> None:
    """A worker, or its child process, that ends writes its audit log's last line."""
    folder = keystore_file.parent / "audit"
    monkeypatch.setenv("CAAS_AUDIT_DIR", str(folder))
    load()
    celery.signals.celeryd_init.send(sender=None)
    getattr(celery.signals, signal).send(sender=None)
    (path,) = folder.iterdir()
    assert '"event":"stop"' in path.read_text().splitlines()[-1]


def test_worker_without_keystore(
    load: Callable[[], ModuleType], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker that can't read its keystore says why in one line and does not start."""
    load()
    with pytest.raises(SystemExit) as caught:
        celery.signals.celeryd_init.send(sender=None)
    assert caught.value.code == 78
    assert capsys.readouterr().err == (
        f"caas worker: keystore {home / 'keystore.age'}: not found\n"
        if (home / "identity.txt").exists()
        else f"caas worker: identity file {home / 'identity.txt'}: not found\n"
    )


@pytest.fixture
def logging_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What logging is configured with; levels are put back afterwards."""
    calls: list[dict[str, Any]] = []
    root = logging.getLogger()
    level = root.level

    def configure(**options: Any) -> None:
        calls.append(options)
        root.setLevel(options["level"])

    monkeypatch.setattr(logging, "basicConfig", configure)
    yield calls
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("given", "level", "chatty"),
    [
        (None, logging.WARNING, logging.WARNING),
        (logging.INFO, logging.INFO, logging.WARNING),
        (logging.DEBUG, logging.DEBUG, logging.DEBUG),
        ("DEBUG", "DEBUG", logging.DEBUG),
    ],
)
def test_logging(
    load: Callable[[], ModuleType],
    logging_calls: list[dict[str, Any]],
    given: Any,
    level: Any,
    chatty: int,
) -> None:
    """The command line's level wins over the setting; a line a task is for debugging alone."""
    load()
    celery.signals.setup_logging.send(sender=None, loglevel=given)
    (options,) = logging_calls
    (handler,) = options["handlers"]
    assert (options["level"], handler.stream) == (level, sys.stderr)
    assert [logging.getLogger(name).level for name in CHATTY] == [chatty, chatty]
