"""`caas bulk` with a real broker and real workers: kills, stops, a service that goes away."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sqlite3
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rig.canary import Markers, Monitor, dump, search
from rig.process import LoggedProcess
from rig.stack import Stack

from caas_cli.exit_codes import ExitCode
from caas_tasks.names import Lane
from producer_client import Client

pytestmark = pytest.mark.integration

SEED = 20_261_126
ROWS = 20_000
BAD = (17, 9_000, 9_001, 19_999)
"""Rows, counted from 1, whose UUID is none."""

KILLS = 5
EVERY_CHUNK = ("--report-every", "0", "--checkpoint-every", "0.02")


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str, str]]:
    """Seeded rows: number, UUID, value."""
    source = random.Random(SEED)
    made = [
        (str(number), str(uuid.UUID(int=source.getrandbits(128))), f"value {number}")
        for number in range(1, ROWS + 1)
    ]
    for number in BAD:
        made[number - 1] = (str(number), "not-a-uuid", f"value {number}")
    return made


@pytest.fixture(scope="module")
def source_file(rows: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows as a CSV file."""
    path = tmp_path_factory.mktemp("bulk") / "in.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "user_uuid", "value"), *rows])
    return path


def bulk(stack: Stack, *args: object, **env: str) -> LoggedProcess:
    """`caas bulk` in a process of its own."""
    home = {"CAAS_HOME": str(stack.folder / "home")}
    command = [sys.executable, "-m", "caas_cli", "bulk", *map(str, args)]
    return LoggedProcess(command, {**stack.env, **home, **env})


def wait_for_chunks(process: LoggedProcess, count: int) -> bool:
    """Wait until so many chunks are told of; False when the run came to its end before."""
    line = 0
    try:
        for _ in range(count):
            line = process.wait_for("rows/s", after=line)
    except AssertionError:
        assert not process.is_running
        return False
    return True


def test_a_run_that_is_killed_again_and_again_gives_what_one_run_gives(
    stack: Stack, source_file: Path, rows: list[tuple[str, str, str]], tmp_path: Path
) -> None:
    """`kill -9` at seeded moments, then --resume: the same bytes, no row twice, none lost."""
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    assert bulk(stack, "encrypt", source_file, whole).wait() == ExitCode.NEGATIVE
    source = random.Random(SEED)
    kills = 0
    while kills < KILLS:
        process = bulk(stack, "encrypt", source_file, out, "--resume", *EVERY_CHUNK)
        if not wait_for_chunks(process, source.randint(1, 8)):
            break
        process.kill()
        kills += 1
        assert not out.exists()
    assert kills == KILLS
    last = bulk(stack, "encrypt", source_file, out, "--resume")
    assert last.wait() == ExitCode.NEGATIVE, last.log
    for ending in ("", ".failures.csv"):
        assert Path(f"{out}{ending}").read_bytes() == Path(f"{whole}{ending}").read_bytes()
    good = [row for row in rows if row[1] != "not-a-uuid"]
    with out.open(newline="") as file:
        got = [(row["id"], row["encrypted_data"]) for row in csv.DictReader(file)]
    expected = stack.keystore.expected_encrypted([(user, value) for _, user, value in good])
    assert got == [(row[0], value) for row, value in zip(good, expected, strict=True)]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("whole.csv", "whole.csv.failures.csv", "out.csv", "out.csv.failures.csv")
    }


def test_a_table_that_is_written_over_is_written_once_through_all_kills(
    stack: Stack, client: Client, rows: list[tuple[str, str, str]], tmp_path: Path
) -> None:
    """Each digest is wrapped once, in its own place; failures are listed once."""
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, user_uuid TEXT, value TEXT, kv INTEGER)"
        )
        digests = [(int(number), user, f"{int(number):032x}") for number, user, _ in rows]
        database.executemany("INSERT INTO users VALUES (?, ?, ?, NULL)", digests)
    database.close()
    failures = tmp_path / "failures.csv"
    arguments = (
        *("wrap", "--table", "users", "--key-column", "id", "--failures", failures),
        *("--to", "wrapped=value", "--to", "key_version=kv", "--only-null", "kv", "--resume"),
    )
    source = random.Random(SEED)
    for _ in range(KILLS):
        process = bulk(
            stack, *arguments, "--report-every", "0", CAAS_DATABASE_URL=f"sqlite:///{path}"
        )
        assert wait_for_chunks(process, source.randint(1, 5)), process.log
        process.kill()
    last = bulk(stack, *arguments, CAAS_DATABASE_URL=f"sqlite:///{path}")
    assert last.wait() == ExitCode.NEGATIVE, last.log
    with sqlite3.connect(path) as database:
        stored = list(database.execute("SELECT id, value FROM users WHERE kv = 1 ORDER BY id"))
    database.close()
    good = [digest for digest in digests if digest[1] != "not-a-uuid"]
    wrapped = client.wrap_many([(user, digest) for _, user, digest in good], timeout_s=60)
    assert stored == [
        (number, result.wrapped) for (number, _, _), result in zip(good, wrapped, strict=True)
    ]
    listed = [line.split(",")[1] for line in failures.read_text().splitlines()[1:]]
    assert listed == [str(number) for number in BAD]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_says_how_to_go_on(
    stack: Stack, source_file: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM: one line, the exit code for "later", and it can be resumed."""
    out = tmp_path / "out.csv"
    process = bulk(stack, "encrypt", source_file, out, *EVERY_CHUNK)
    assert wait_for_chunks(process, 3)
    os.kill(process.pid, number)
    assert process.wait() == ExitCode.TEMPORARY
    assert process.log.splitlines()[-1] == (
        "caas: stopped; what is done is kept; the same command with --resume goes on"
    )
    assert "Traceback" not in process.log
    assert bulk(stack, "encrypt", source_file, out, "--resume").wait() == ExitCode.NEGATIVE
    with out.open(newline="") as file:
        assert sum(1 for _ in csv.reader(file)) == 1 + ROWS - len(BAD)


def test_a_run_waits_for_a_worker_that_is_replaced(
    new_stack: Callable[..., Stack], source_file: Path, tmp_path: Path
) -> None:
    """The one worker is killed with messages in its hands, and another one comes up."""
    stack = new_stack()
    first = stack.start_worker()
    stack.wait_until_ready()
    process = bulk(stack, "encrypt", source_file, tmp_path / "out.csv", *EVERY_CHUNK)
    assert wait_for_chunks(process, 3)
    first.kill()
    stack.start_worker()
    assert process.wait() == ExitCode.NEGATIVE, process.log
    with (tmp_path / "out.csv").open(newline="") as file:
        assert sum(1 for _ in csv.reader(file)) == 1 + ROWS - len(BAD)


def test_a_run_without_a_worker_stops_and_goes_on_later(
    new_stack: Callable[..., Stack], source_file: Path, tmp_path: Path
) -> None:
    """After its patience; nothing is listed as a failure that only wasn't answered."""
    stack = new_stack()
    first = stack.start_worker()
    stack.wait_until_ready()
    out = tmp_path / "out.csv"
    process = bulk(stack, "encrypt", source_file, out, "--patience", "1", *EVERY_CHUNK)
    assert wait_for_chunks(process, 3)
    first.kill()
    assert process.wait() == ExitCode.TEMPORARY, process.log
    assert "--resume goes on" in process.log
    stack.start_worker()
    stack.wait_until_ready()
    assert bulk(stack, "encrypt", source_file, out, "--resume").wait() == ExitCode.NEGATIVE
    listed = Path(f"{out}.failures.csv").read_text().splitlines()[1:]
    assert listed == [f"{number},,invalid_request" for number in BAD]


CANARY_ROWS = 3
OPERATIONS = ("encrypt", "wrap", "seal", "rewrap", "hash-password")


def canary_file(path: Path, markers: Markers) -> None:
    """Rows with markers in every place: good ones and each kind of bad one."""
    user, data, digest = markers.user_uuid, markers.data, markers.digest
    lines = [
        "id,user_uuid,value,note",
        *[f"{number},{user},{data},{digest}" for number in range(CANARY_ROWS)],
        f"7,{data},{data},{digest}",
        f"8,{user},{data}",
        f"9,{user},{data}\0,{digest}",
        f"10,{user},{data}{'x' * 70_000},{digest}",
        f'11,{user},"{data}"{digest},{digest}',
    ]
    path.write_text("\n".join(lines) + "\n")


def canary_table(stack: Stack, folder: Path, markers: Markers) -> bytes:
    """What a run over a table says and lists: a good row, a bad one, and a column that refuses."""
    path = folder / "shop.db"
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, user_uuid TEXT, value TEXT, "
            "wrapped TEXT, kv INTEGER, refused TEXT CHECK (refused IS NULL))"
        )
        rows = [(1, markers.user_uuid, markers.digest), (2, markers.data, markers.digest)]
        database.executemany("INSERT INTO users (id, user_uuid, value) VALUES (?, ?, ?)", rows)
    database.close()
    failures = folder / "table.failures.csv"
    seen = b""
    for column, code in (("wrapped", ExitCode.NEGATIVE), ("refused", ExitCode.UNAVAILABLE)):
        process = bulk(
            stack,
            *("wrap", "--table", "users", "--key-column", "id", "--failures", failures),
            *("--to", f"wrapped={column}", "--force", "--report-every", "0"),
            CAAS_DATABASE_URL=f"sqlite:///{path}",
        )
        assert process.wait() == code, process.log
        seen += process.log.encode()
        if code == ExitCode.NEGATIVE:  # the other fails before a row is listed
            seen += failures.read_bytes()
    return seen


def canary_rows(stack: Stack, folder: Path, markers: Markers, kind: str) -> dict[str, bytes]:
    """What runs of every operation over such a file say, list and write."""
    source = folder / f"in.{kind}"
    users = [markers.user_uuid, markers.data, markers.user_uuid]
    values = [markers.data, markers.data, None]
    notes = [markers.digest] * len(users)
    if kind == "parquet":
        columns = {"id": [1, 2, 3], "user_uuid": users, "value": values, "note": notes}
        pq.write_table(pa.table(columns), source)
    else:
        names = ("id", "user_uuid", "value", "note")
        rows = zip((1, 2, 3), users, values, notes, strict=True)
        lines = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
        source.write_text("\n".join([*lines, f'{{"value": "{markers.data}" {markers.digest}']))
    evidence: dict[str, bytes] = {}
    for operation in OPERATIONS:
        out = folder / f"{operation}.{kind}"
        arguments = (operation, source, out, "--report-every", "0", "--keep", "id")
        process = bulk(stack, *arguments, "--key-column", "id")
        assert process.wait() == ExitCode.NEGATIVE, process.log
        evidence[f"{operation} {kind}: output of the command"] = process.log.encode()
        evidence[f"{operation} {kind}: failures"] = Path(f"{out}.failures.csv").read_bytes()
        if out.stat().st_size:  # no row of these can be rewrapped
            evidence[f"{operation} {kind}: output"] = out.read_bytes()
        if kind == "parquet":  # its pages are compressed
            evidence[f"{operation} {kind}: rows"] = str(pq.read_table(out).to_pylist()).encode()
    return evidence


def test_nothing_of_a_file_is_repeated(new_stack: Callable[..., Stack], tmp_path: Path) -> None:
    """Markers in good and bad rows of every operation: none is in journal, failures or logs."""
    stack = new_stack()
    markers = Markers()
    audit = stack.folder / "audit"
    worker = stack.start_worker(
        *("-E", "--loglevel=DEBUG"),
        queue=f"{Lane.FAST.value},{Lane.PASSWORD.value}",
        env={"CAAS_AUDIT_DIR": str(audit)},
    )
    worker.wait_for("ready.")
    redis = stack.broker.connect()
    monitor = Monitor(redis)
    source = tmp_path / "in.csv"
    canary_file(source, markers)
    evidence: dict[str, bytes] = {}
    for operation in OPERATIONS:
        out = tmp_path / f"{operation}.csv"
        arguments = (operation, source, out, "--report-every", "0", "--keep", "id")
        process = bulk(stack, *arguments, "--key-column", "id")
        assert process.wait() == ExitCode.USAGE, process.log  # the broken quote, at the end
        assert "in the row that begins in line 9;" in process.log
        evidence[f"{operation}: output of the command"] = process.log.encode()
        for ending in ("journal", "failures.csv", "part"):
            evidence[f"{operation}: {ending}"] = Path(f"{out}.{ending}").read_bytes()
    for kind in ("jsonl", "parquet"):
        evidence |= canary_rows(stack, tmp_path, markers, kind)
    evidence["table"] = canary_table(stack, tmp_path, markers)
    evidence["broker"] = dump(redis)
    evidence["monitor"] = monitor.stop()
    worker.stop()
    evidence["worker"] = worker.log.encode()
    logs = [path for path in audit.rglob("*") if path.is_file()]
    evidence["audit log"] = b"\n".join(path.read_bytes() for path in logs)
    assert all(evidence.values())
    assert search(evidence, markers.needles(stack.keystore.api_key)) == set()
