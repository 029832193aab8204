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


@pytest.fixture
def four_files(made: Home, log: AuditLog) -> list[str]:
    """A whole log of four files, in their order."""
    for _ in range(5):
        log.observe(OUTCOME)
    log.close()
    files = sorted(paths(made))
    assert len(files) == 4
    return files


def test_missing_first_files_are_named(four_files: list[str], run: Any) -> None:
    """A log without its first files fails, its worker running or not, unless it is a part."""
    given = four_files[2:]
    for running in ([], ["--running"]):
        done = run("audit", "verify", *running, *given)
        assert done.exit_code == ExitCode.NEGATIVE
        first, second = done.stdout.splitlines()
        assert first.endswith("lines  the files before it are missing")
        assert second.endswith("whole")
    assert run("audit", "verify", "--partial", *given).exit_code == ExitCode.OK


def test_missing_last_files_are_named(four_files: list[str], run: Any) -> None:
    """A log that ends in a rotation fails unless it is a part, or its worker is yet to go on."""
    given = four_files[:2]
    done = run("audit", "verify", *given)
    assert done.exit_code == ExitCode.NEGATIVE
    first, second = done.stdout.splitlines()
    assert first.endswith("whole")
    assert second.endswith("lines  the file after it is missing")
    for option in ("--partial", "--running"):
        assert run("audit", "verify", option, *given).exit_code == ExitCode.OK


def test_part_has_no_holes(four_files: list[str], run: Any) -> None:
    """A file that is missing between two fails in a part too, and so does a missing last line."""
    done = run("audit", "verify", "--partial", four_files[1], four_files[3])
    assert done.exit_code == ExitCode.NEGATIVE
    assert "does not go on from the end of the file before" in done.stdout
    last = Path(four_files[3])
    last.write_bytes(b"".join(last.read_bytes().splitlines(keepends=True)[:-1]))
    done = run("audit", "verify", "--partial", str(last))
    assert done.exit_code == ExitCode.NEGATIVE
    assert "the files before it are missing; ends without its last line" in done.stdout


def test_name_that_was_changed_hides_no_hole(made: Home, four_files: list[str], run: Any) -> None:
    """Another file that sorts between two of a log does not make the second one a log's first."""
    between = made.folder / "b"
    between.write_bytes(b"rubbish\n")
    first, third = made.folder / "a", made.folder / "c"
    Path(four_files[0]).rename(first)
    Path(four_files[2]).rename(third)
    done = run("audit", "verify", "--partial", str(first), str(between), str(third))
    assert done.exit_code == ExitCode.NEGATIVE
    assert done.stdout.splitlines()[2] == (
        "c  line 1: does not go on from the end of the file before"
    )


def test_line_nested_too_deep(made: Home, four_files: list[str], run: Any) -> None:
    """One hostile file is named, and does not keep the others from their verdict."""
    hostile = made.folder / "audit-0.jsonl"
    end = b',"mac":"' + b"0" * 64 + b'"}\n'
    hostile.write_bytes(b'{"event":"start","a":' + b"[" * 200_000 + end)
    done = run("audit", "verify", str(hostile), *four_files)
    assert done.exit_code == ExitCode.NEGATIVE
    first, *others = done.stdout.splitlines()
    assert first == "audit-0.jsonl  line 1: is not a line of an audit log"
    assert all(line.endswith("whole") for line in others)


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
    assert (verdict["lacks_before"], verdict["lacks_next"]) == (False, False)


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
