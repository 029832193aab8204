"""The audit log's files: a line a request, and what happens when one can't be written."""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.names import Operation
from worker.audit import AuditLog
from worker.audit_chain import Verdict, verify
from worker.outcome import Outcome, Stages

KEY = bytes(range(32))
NOW_MS = 1_760_000_000_123
OUTCOME = Outcome(
    message_id="6f1d7c1e-8f0e-4c55-9d55-1f2f3a4b5c6d",
    operation=Operation.VERIFY,
    at_ms=NOW_MS,
    tenant="shop",
    api_key_id="3fK9aZ0bQ1xY",
    key_version=2,
    items=3,
    refusal=None,
    codes={"ok": 2, "rate_limited": 1},
    users=("aa", "bb"),
    duration_s=0.001_234_5,
    stages=Stages(),
)


@pytest.fixture
def new_log(tmp_path: Path) -> Iterator[Callable[..., AuditLog]]:
    """Makes audit logs in one folder; what is still open is closed at the end."""
    made: list[AuditLog] = []

    def make(**options: Any) -> AuditLog:
        defaults: dict[str, Any] = {
            "now_ms": lambda: NOW_MS,
            "random_bytes": lambda size: bytes([len(made)]) * size,
            "max_bytes": 1 << 20,
        }
        log = AuditLog(tmp_path / "audit", KEY, "host:1", **{**defaults, **options})
        made.append(log)
        return log

    yield make
    for log in made:
        log.close()


def lines_of(log: AuditLog) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.path.read_bytes().splitlines()]


def check(path: Path, before: Verdict | None = None) -> Verdict:
    with path.open("rb") as file:
        return verify(KEY, file, before)


def files(log: AuditLog) -> list[Path]:
    return sorted(log.path.parent.iterdir())


def test_line_of_a_request(new_log: Callable[..., AuditLog]) -> None:
    """A line has who, what, when, how it ended and how long it took, and the chain's seal."""
    log = new_log()
    log.observe(OUTCOME)
    line = lines_of(log)[1]
    assert len(line.pop("mac")) == 64
    assert line == {
        "seq": 2,
        "time": "2025-10-09T08:53:20.123Z",
        "event": "request",
        "worker": "host:1",
        "message": OUTCOME.message_id,
        "tenant": "shop",
        "operation": "verify",
        "api_key": "3fK9aZ0bQ1xY",
        "key_version": 2,
        "items": 3,
        "outcome": "mixed",
        "codes": {"ok": 2, "rate_limited": 1},
        "duration_ms": 1.234,
        "users": ["aa", "bb"],
    }


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"codes": {"ok": 3}}, "ok"),
        ({"codes": {"invalid_request": 3}}, "invalid_request"),
        ({"refusal": "forbidden", "codes": {"forbidden": 1}, "items": 0}, "forbidden"),
    ],
)
def test_outcome_in_one_word(
    new_log: Callable[..., AuditLog], changes: dict[str, Any], outcome: str
) -> None:
    """A request that ended in one way says so in one word."""
    log = new_log()
    log.observe(OUTCOME._replace(**changes))
    assert lines_of(log)[1]["outcome"] == outcome


@pytest.mark.parametrize("message_id", ["", "x" * 65, "a b", "\ud800", 'a"b', "a\n"])
def test_message_id_of_another_form_is_left_out(
    new_log: Callable[..., AuditLog], message_id: str
) -> None:
    """Whatever a sender puts for an id, nothing but a plain id gets into the log."""
    log = new_log()
    log.observe(OUTCOME._replace(message_id=message_id))
    assert lines_of(log)[1]["message"] is None


def test_files_are_private(new_log: Callable[..., AuditLog]) -> None:
    """Folder and file are for their owner alone."""
    log = new_log()
    assert (log.path.stat().st_mode & 0o777, log.path.parent.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )


def test_whole_log_verifies(new_log: Callable[..., AuditLog]) -> None:
    """From start to stop the chain is whole."""
    log = new_log()
    for _ in range(5):
        log.observe(OUTCOME)
    log.close()
    verdict = check(log.path)
    assert (verdict.lines, verdict.fault, verdict.is_closed) == (7, None, True)


def test_log_that_is_not_closed_shows(new_log: Callable[..., AuditLog]) -> None:
    """A worker that runs, or was killed, has no last line."""
    log = new_log()
    log.observe(OUTCOME)
    assert (check(log.path).fault, check(log.path).is_closed) == (None, False)


def test_rotation_goes_on_with_the_chain(new_log: Callable[..., AuditLog]) -> None:
    """Past its size a file ends with `rotate`, and the next one goes on from there."""
    log = new_log(max_bytes=1_500)
    for _ in range(10):
        log.observe(OUTCOME)
    log.close()
    verdict = None
    for path in files(log):
        verdict = check(path, verdict)
        assert (verdict.fault, verdict.is_closed) == (None, True)
    assert verdict is not None
    assert verdict.number == len(files(log)) == 3
    text = b"".join(path.read_bytes() for path in files(log))
    assert text.count(b'"event":"request"') == 10


def test_unreadable_messages_are_counted(new_log: Callable[..., AuditLog]) -> None:
    """Rubbish from the broker gets no line of its own, only a count before the next request."""
    log = new_log()
    for _ in range(3):
        log.observe(OUTCOME._replace(refusal="unreadable", codes={"unreadable": 1}, items=0))
    assert len(lines_of(log)) == 1
    log.observe(OUTCOME)
    log.close()
    assert [(line["event"], line.get("messages")) for line in lines_of(log)] == [
        ("start", None),
        ("unreadable", 3),
        ("request", None),
        ("stop", None),
    ]


def test_threads_write_one_chain(new_log: Callable[..., AuditLog]) -> None:
    """Many threads at once leave whole lines in one order."""
    log = new_log(max_bytes=20_000)

    def run() -> None:
        for _ in range(50):
            log.observe(OUTCOME)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    verdict = None
    total = 0
    for path in files(log):
        verdict = check(path, verdict)
        assert verdict.fault is None
        total += verdict.lines
    assert total == 400 + 2 * len(files(log))


def test_folder_that_cannot_be_made(tmp_path: Path, new_log: Callable[..., AuditLog]) -> None:
    """A required log that can't be begun is an error at the start."""
    (tmp_path / "audit").write_text("a file")
    with pytest.raises(FileExistsError):
        new_log()


def test_log_that_is_not_required_begins_when_it_can(
    tmp_path: Path, new_log: Callable[..., AuditLog], caplog: pytest.LogCaptureFixture
) -> None:
    """Without its folder nothing is refused; once there, the log says how much is missing."""
    (tmp_path / "audit").write_text("a file")
    log = new_log(is_required=False)
    log.observe(OUTCOME)
    log.observe(OUTCOME)
    (tmp_path / "audit").unlink()
    log.observe(OUTCOME)
    log.close()
    assert [(line["event"], line.get("unwritten")) for line in lines_of(log)] == [
        ("start", None),
        ("gap", 2),
        ("request", None),
        ("stop", None),
    ]
    assert check(log.path).fault is None
    assert [record.levelno for record in caplog.records] == [
        logging.ERROR,
        logging.ERROR,
        logging.WARNING,
    ]


# --- a full disk


class FullDisk:
    """Lets this process's files grow no further; a write fails as on a full disk, in part first."""

    def __init__(self) -> None:
        self._hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        self._old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(self, path: Path, room_bytes: int) -> None:
        size = path.stat().st_size + room_bytes
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, self._hard))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._hard, self._hard))

    def close(self) -> None:
        self.free()
        signal.signal(signal.SIGXFSZ, self._old)


@pytest.fixture
def disk() -> Iterator[FullDisk]:
    limited = FullDisk()
    yield limited
    limited.close()


@pytest.mark.parametrize("room_bytes", [0, 1, 100])
def test_full_disk_refuses_and_recovers(
    new_log: Callable[..., AuditLog], disk: FullDisk, room_bytes: int
) -> None:
    """No line, no answer; a line written in part is taken back, and the chain goes on whole."""
    log = new_log()
    log.observe(OUTCOME)
    disk.fill(log.path, room_bytes)
    for _ in range(2):
        with pytest.raises(ServiceUnavailableError):
            log.observe(OUTCOME)
    disk.free()
    log.observe(OUTCOME)
    log.close()
    events = [line["event"] for line in lines_of(log)]
    assert events == ["start", "request", "gap", "request", "stop"]
    assert lines_of(log)[2]["unwritten"] == 2
    assert check(log.path).fault is None


def test_full_disk_while_a_file_is_closed(new_log: Callable[..., AuditLog], disk: FullDisk) -> None:
    """A rotation that finds no room is made up for later, without a break in the chain."""
    log = new_log(max_bytes=1)
    disk.fill(log.path, 10)
    with pytest.raises(ServiceUnavailableError):
        log.observe(OUTCOME)
    disk.free()
    log.observe(OUTCOME)
    log.close()
    verdict = None
    for path in files(log):
        verdict = check(path, verdict)
        assert (verdict.fault, verdict.is_closed) == (None, True)


def test_line_that_cannot_be_taken_back(
    new_log: Callable[..., AuditLog], disk: FullDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When even that fails, the log goes on in another file and the break shows in the old one."""
    log = new_log()
    log.observe(OUTCOME)
    disk.fill(log.path, 100)

    def fail(_file: int, _size: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", fail)
    with pytest.raises(ServiceUnavailableError):
        log.observe(OUTCOME)
    disk.free()
    log.observe(OUTCOME)
    log.close()
    first, second = files(log)
    before = check(first)
    assert (before.lines, before.fault) == (2, "is cut off")
    assert check(second, before).fault is None


def test_full_device(new_log: Callable[..., AuditLog], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device that is always full the request is refused, and no file is left behind."""
    opened = os.open
    log = new_log(is_required=False)
    monkeypatch.setattr(os, "open", lambda _path, _flags, _mode: opened("/dev/full", os.O_WRONLY))
    log.close()
    log = new_log(is_required=False)
    log._is_required = True
    with pytest.raises(ServiceUnavailableError):
        log.observe(OUTCOME)


def test_disk_full_is_logged_once(
    new_log: Callable[..., AuditLog], disk: FullDisk, caplog: pytest.LogCaptureFixture
) -> None:
    """A long outage is two lines in the worker's log: when it began and when it ended."""
    log = new_log()
    disk.fill(log.path, 0)
    for _ in range(5):
        with pytest.raises(ServiceUnavailableError):
            log.observe(OUTCOME)
    disk.free()
    log.observe(OUTCOME)
    assert [record.getMessage() for record in caplog.records] == [
        "audit log: a line cannot be written: File too large",
        "audit log: written again, 5 lines are missing",
    ]
