"""`caas audit verify`: the file and the line that is wrong, and an exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from caas_cli.exit_codes import ExitCode
from caas_cli.home import Home
from caas_tasks.names import Operation
from worker.audit import AuditLog
from worker.audit_chain import MAX_LINE_BYTES, chain_key
from worker.keystore import file
from worker.outcome import Outcome, Stages

OUTCOME = Outcome(
    message_id="id",
    operation=Operation.VERIFY,
    at_ms=1_760_000_000_000,
    tenant="shop",
    api_key_id="k",
    key_version=1,
    items=1,
    refusal=None,
    codes={"ok": 1},
    users=(),
    duration_s=0.0,
    stages=Stages(),
)


@pytest.fixture
def log(made: Home) -> AuditLog:
    """An open log with three requests."""
    audit_key = file.load(made.keystore, file.load_identities(made.identity)).audit_key
    assert audit_key is not None
    log = AuditLog(
        made.audit_folder,
        chain_key(audit_key),
        "host:1",
        now_ms=lambda: OUTCOME.at_ms,
        random_bytes=bytes,
        max_bytes=700,
    )
    for _ in range(3):
        log.observe(OUTCOME)
    return log


def paths(made: Home) -> list[str]:
    return [str(path) for path in sorted(made.audit_folder.iterdir(), reverse=True)]


def test_whole_log(made: Home, log: AuditLog, run: Any) -> None:
    """Whole files, given in any order, are said to be whole."""
    log.close()
    done = run("audit", "verify", *paths(made))
    assert done.exit_code == ExitCode.OK
    lines = done.stdout.splitlines()
    assert len(lines) == len(paths(made)) == 2
    assert all(line.endswith("whole") for line in lines)


def test_log_of_a_running_worker(made: Home, log: AuditLog, run: Any) -> None:
    """A log without its last line passes only when its worker is said to run."""
    done = run("audit", "verify", *paths(made))
    assert done.exit_code == ExitCode.NEGATIVE
    assert "ends without its last line" in done.stdout
    assert run("audit", "verify", "--running", *paths(made)).exit_code == ExitCode.OK
    log.close()


def test_changed_line_is_named(made: Home, log: AuditLog, run: Any) -> None:
    """The first wrong line is named by file and number, running or not."""
    log.close()
    path = Path(paths(made)[-1])
    path.write_bytes(path.read_bytes().replace(b'"items":1', b'"items":2', 1))
    done = run("audit", "verify", "--running", str(path))
    assert done.exit_code == ExitCode.NEGATIVE
    assert done.stdout.startswith(f"{path.name}  line 2: was changed, or lines before it")


def test_missing_file_between_is_named(made: Home, log: AuditLog, run: Any) -> None:
    """Files of one process must go on from each other."""
    for _ in range(3):
        log.observe(OUTCOME)
    log.close()
    first, _, third = sorted(paths(made))[:3]
    done = run("audit", "verify", first, third)
    assert done.exit_code == ExitCode.NEGATIVE
    assert "does not go on from the end of the file before" in done.stdout


def test_verdicts_as_json(made: Home, log: AuditLog, run: Any) -> None:
    """Scripts get the same in fields."""
    log.close()
    (verdict, _) = json.loads(run("audit", "verify", "--json", *paths(made)).stdout)
    assert (verdict["fault"], verdict["first_wrong_line"], verdict["is_closed"]) == (
        None,
        None,
        True,
    )
    assert (verdict["number"], verdict["right_lines"]) == (1, 4)


def test_file_that_is_not_there(made: Home, run: Any) -> None:
    """A file that can't be read is a wrong argument."""
    done = run("audit", "verify", str(made.folder / "nothing"))
    assert done.exit_code == ExitCode.USAGE
    assert done.stderr.endswith("nothing: No such file or directory\n")


def test_endless_line(made: Home, run: Any) -> None:
    """A huge file without a newline is refused by its beginning."""
    path = made.folder / "huge"
    path.write_bytes(b"x" * (2 * MAX_LINE_BYTES))
    done = run("audit", "verify", str(path))
    assert (done.exit_code, "line 1: is cut off" in done.stdout) == (ExitCode.NEGATIVE, True)


def test_keystore_without_an_audit_key(
    made: Home, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an older keystore there is nothing to verify with."""
    keystore = file.load(made.keystore, file.load_identities(made.identity))
    monkeypatch.setattr(file, "load", lambda *_: keystore.model_copy(update={"audit_key": None}))
    assert run("audit", "verify", "x").exit_code == ExitCode.CONFIGURATION
