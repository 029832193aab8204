"""`caas bulk` over files, from the options to the real operations in memory."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from caas_cli import requests
from caas_cli.bulk import file_run, pipeline
from caas_cli.exit_codes import ExitCode
from caas_cli.main import app
from caas_tasks.errors import RateLimitedError
from producer_client import Client
from producer_client.testing import InMemoryService

USERS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(2_000)]
ROWS = [(str(number), user, f"value {number}") for number, user in enumerate(USERS)]
Run = Callable[..., Result]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> InMemoryService:
    """The service that the command line asks."""
    made = InMemoryService()
    monkeypatch.setattr(requests, "client", lambda _home: made.client())
    monkeypatch.setenv("CAAS_API_KEY", made.api_key)
    monkeypatch.setenv("CAAS_HOME", str(tmp_path / "home"))
    return made


@pytest.fixture
def run(service: InMemoryService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `caas bulk` in the test's folder."""
    assert service
    monkeypatch.chdir(tmp_path)

    def call(*args: str) -> Result:
        return CliRunner().invoke(app, ["bulk", *args])

    return call


def write_csv(path: Path, rows: Any = ROWS[:5], header: Any = ("id", "user_uuid", "value")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"home"}


@pytest.fixture
def client(service: InMemoryService) -> Iterator[Client]:
    with service.client() as made:
        yield made


# --- what comes out ------------------------------------------------------------------------------


def test_encrypt_writes_what_the_client_gives(run: Run, client: Client, tmp_path: Path) -> None:
    """Every row has the value and the key version that a call of its own would have."""
    write_csv(tmp_path / "in.csv")
    assert run("encrypt", "in.csv", "out.csv").exit_code == 0
    expected = [
        {
            "id": number,
            "user_uuid": user,
            "encrypted_data": client.encrypt(user, value).encrypted_data,
            "key_version": "1",
        }
        for number, user, value in ROWS[:5]
    ]
    assert read_csv(tmp_path / "out.csv") == expected


def test_wrap_writes_what_the_client_gives(run: Run, client: Client, tmp_path: Path) -> None:
    """A legacy digest is wrapped."""
    write_csv(tmp_path / "in.csv", [("1", USERS[1], "0cc175b9c0f1b6a831c399e269772661")])
    run("wrap", "in.csv", "out.csv", "--to", "wrapped=stored")
    wrapped = client.wrap(USERS[1], "0cc175b9c0f1b6a831c399e269772661").wrapped
    assert read_csv(tmp_path / "out.csv") == [{"id": "1", "user_uuid": USERS[1], "stored": wrapped}]


def test_sealed_tokens_open_with_their_context(run: Run, client: Client, tmp_path: Path) -> None:
    """A token is bound to its row's user and to the context that was given."""
    write_csv(tmp_path / "in.csv")
    run("seal", "in.csv", "out.csv", "--context", "users.address")
    opened = [
        client.open(row["user_uuid"], row["token"], b"users.address").decode()
        for row in read_csv(tmp_path / "out.csv")
    ]
    assert opened == [value for _, _, value in ROWS[:5]]


def test_sealed_bytes_come_from_base64(run: Run, client: Client, tmp_path: Path) -> None:
    """With --base64 the bytes are sealed, not their spelling."""
    write_csv(tmp_path / "in.csv", [("1", USERS[1], "AP8=")])
    run("seal", "in.csv", "out.csv", "--base64")
    (row,) = read_csv(tmp_path / "out.csv")
    assert client.open(USERS[1], row["token"]) == b"\x00\xff"


def test_rewrapped_tokens_open(run: Run, client: Client, tmp_path: Path) -> None:
    """A token under the primary version stays what it is."""
    token = client.seal(USERS[1], b"data", b"ctx")
    write_csv(tmp_path / "in.csv", [(USERS[1], token, "ctx")], ("user_uuid", "value", "context"))
    run("rewrap", "in.csv", "out.csv", "--context-column", "context", "--to", "changed=changed")
    assert read_csv(tmp_path / "out.csv")[0]["changed"] == "False"


def test_hashed_passwords_verify(run: Run, client: Client, tmp_path: Path) -> None:
    """A password's hash verifies, and its key version can be asked for."""
    write_csv(tmp_path / "in.csv", [("1", USERS[1], "correct horse")])
    run("hash-password", "in.csv", "out.csv", "--to", "hash=hash", "--to", "key_version=v")
    (row,) = read_csv(tmp_path / "out.csv")
    assert (bool(client.verify_password(USERS[1], "correct horse", row["hash"])), row["v"]) == (
        True,
        "1",
    )


def test_json_lines_keep_their_members(run: Run, client: Client, tmp_path: Path) -> None:
    """An object comes out with its other members and without the value."""
    line = {"user_uuid": USERS[1], "value": "données", "deep": {"a": [1, None]}}
    (tmp_path / "in.jsonl").write_text("\ufeff" + json.dumps(line) + "\n\n", encoding="utf-8")
    assert run("encrypt", "in.jsonl", "out.jsonl").exit_code == 0
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {
        "user_uuid": USERS[1],
        "deep": {"a": [1, None]},
        "encrypted_data": client.encrypt(USERS[1], "données").encrypted_data,
        "key_version": 1,
    }


def test_the_value_is_not_in_the_output(run: Run, tmp_path: Path) -> None:
    """What was to be protected is the one column that the output doesn't repeat."""
    write_csv(tmp_path / "in.csv")
    run("encrypt", "in.csv", "out.csv")
    assert b"value 3" not in (tmp_path / "out.csv").read_bytes()


def test_keep_chooses_columns(run: Run, tmp_path: Path) -> None:
    """With --keep the output repeats those columns alone."""
    write_csv(tmp_path / "in.csv")
    run("encrypt", "in.csv", "out.csv", "--keep", "id")
    assert list(read_csv(tmp_path / "out.csv")[0]) == ["id", "encrypted_data", "key_version"]


def test_a_finished_run_leaves_the_output_alone_and_private(run: Run, tmp_path: Path) -> None:
    """No journal, no part, no file of failures; the output is for its owner alone."""
    write_csv(tmp_path / "in.csv")
    run("encrypt", "in.csv", "out.csv")
    assert files(tmp_path) == {"in.csv", "out.csv"}
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600


def test_cells_that_need_quotes_survive(run: Run, tmp_path: Path) -> None:
    """Quotes, separators, line ends and lone carriage returns come out as they went in."""
    hard = ['say "hi"', "a,b", "line\nend", "lone\rreturn", " space ", ""]
    write_csv(tmp_path / "in.csv", [(cell, USERS[1], "v") for cell in hard])
    run("encrypt", "in.csv", "out.csv")
    assert [row["id"] for row in read_csv(tmp_path / "out.csv")] == hard


def test_limit_does_the_first_rows(run: Run, tmp_path: Path) -> None:
    """--limit counts rows of the input."""
    write_csv(tmp_path / "in.csv", ROWS)
    run("encrypt", "in.csv", "out.csv", "--limit", "777")
    assert [row["id"] for row in read_csv(tmp_path / "out.csv")] == [r[0] for r in ROWS[:777]]


def test_dry_run_asks_and_writes_nothing(
    run: Run, service: InMemoryService, tmp_path: Path
) -> None:
    """It says what would fail, with the service away."""
    write_csv(tmp_path / "in.csv", [*ROWS[:5], ("5", "no uuid", "v")])
    with service.outage():
        done = run("encrypt", "in.csv", "out.csv", "--dry-run")
    assert (done.exit_code, done.stdout) == (
        ExitCode.NEGATIVE,
        "6 rows, 1 failed\n  1 invalid_request, first row 6\n",
    )
    assert files(tmp_path) == {"in.csv"}


# --- rows that fail ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (b"6,not-a-uuid,v", "invalid_request"),
        (b"6," + USERS[1].encode(), "malformed_row"),
        (b"6," + USERS[1].encode() + b",v,extra", "malformed_row"),
        (b"6," + USERS[1].encode() + b",caf\xe9", "not_utf8"),
        (b"6," + USERS[1].encode() + b",a\x00b", "nul"),
        (b"6," + USERS[1].encode() + b"," + b"x" * 65_537, "payload_too_large"),
    ],
)
def test_a_bad_csv_row_fails_alone(run: Run, tmp_path: Path, row: bytes, code: str) -> None:
    """The rows around it are done; its number and its code are listed, and the exit code tells."""
    write_csv(tmp_path / "in.csv", ROWS[:5])
    with (tmp_path / "in.csv").open("ab") as file:
        file.write(row + b"\r\n" + ",".join(ROWS[6]).encode() + b"\r\n")
    done = run("encrypt", "in.csv", "out.csv")
    assert done.exit_code == ExitCode.NEGATIVE
    assert (tmp_path / "out.csv.failures.csv").read_text() == f"row,key,code\n6,,{code}\n"
    assert [r["id"] for r in read_csv(tmp_path / "out.csv")] == ["0", "1", "2", "3", "4", "6"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{not json", "malformed_row"),
        (b"[1]", "malformed_row"),
        (b'{"user_uuid": "\xff"}', "malformed_row"),
        (b'{"value": "a", "value": "b"}', "malformed_row"),
        (b'{"value": "v"}', "missing_value"),
        (b'{"user_uuid": "%s", "value": null}' % USERS[1].encode(), "missing_value"),
        (b'{"user_uuid": "%s", "value": 5}' % USERS[1].encode(), "invalid_request"),
        (b'{"user_uuid": "%s", "value": "\\ud800"}' % USERS[1].encode(), "invalid_request"),
        (b'{"a": "' + b"x" * 1_100_000 + b'"}', "malformed_row"),
    ],
)
def test_a_bad_json_line_fails_alone(run: Run, tmp_path: Path, line: bytes, code: str) -> None:
    """The lines around it are done."""
    good = json.dumps({"user_uuid": USERS[1], "value": "v"}).encode()
    (tmp_path / "in.jsonl").write_bytes(good + b"\n" + line + b"\n" + good)
    assert run("encrypt", "in.jsonl", "out.jsonl").exit_code == ExitCode.NEGATIVE
    assert (tmp_path / "out.jsonl.failures.csv").read_text() == f"row,key,code\n2,,{code}\n"
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


def test_a_long_cell_is_no_broken_quote(run: Run, tmp_path: Path) -> None:
    """The csv module's own limit is 128 KiB."""
    write_csv(tmp_path / "in.csv", [("x" * 200_000, USERS[1], "v")])
    assert run("encrypt", "in.csv", "out.csv").exit_code == 0


def test_failures_show_the_key_that_was_chosen(run: Run, tmp_path: Path) -> None:
    """With --key-column a row that fails can be found by its key."""
    write_csv(tmp_path / "in.csv", [("k-17", "bad", "v")])
    run("encrypt", "in.csv", "out.csv", "--key-column", "id")
    assert read_csv(tmp_path / "out.csv.failures.csv") == [
        {"row": "1", "key": "k-17", "code": "invalid_request"}
    ]


def test_a_malformed_row_shows_no_key(run: Run, tmp_path: Path) -> None:
    """Its cells may stand in the wrong columns: what looks like the key may be the value."""
    write_csv(tmp_path / "in.csv", [("secret value",)])
    run("encrypt", "in.csv", "out.csv", "--key-column", "id")
    assert "secret" not in (tmp_path / "out.csv.failures.csv").read_text()


def test_a_bad_uuid_far_behind_is_found(run: Run, tmp_path: Path) -> None:
    """Row 1,501 of 2,000 fails, and no other."""
    rows = [*ROWS[:1_500], ("1500", "not-a-uuid", "v"), *ROWS[1_501:]]
    write_csv(tmp_path / "in.csv", rows)
    done = run("encrypt", "in.csv", "out.csv", "--json")
    assert (done.exit_code, json.loads(done.stdout)["failed"]) == (ExitCode.NEGATIVE, 1)
    assert read_csv(tmp_path / "out.csv.failures.csv")[0]["row"] == "1501"


# --- inputs that can't be used -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "the input is empty: it has not even a header"),
        (b"\xef\xbb\xbf", "the input is empty: it has not even a header"),
        (b"id,user_uuid\n1,2\n", "the input has no column of the name that --value-column gives"),
        (b"id,value\n1,2\n", "the input has no column of the name that --uuid-column gives"),
        (b"user_uuid,value,value\n", "columns 2 and 3 of the header have the same name"),
        (b"user_uuid,val\xffue\n", "the header is not UTF-8 text"),
    ],
)
def test_a_csv_file_without_its_columns_is_refused(
    run: Run, tmp_path: Path, content: bytes, text: str
) -> None:
    """Before anything is asked or made, in one line without a name from the file."""
    (tmp_path / "in.csv").write_bytes(content)
    done = run("encrypt", "in.csv", "out.csv")
    assert (done.exit_code, done.stderr) == (ExitCode.USAGE, f"caas: {text}\n")
    assert files(tmp_path) == {"in.csv"}


def test_a_byte_order_mark_is_no_part_of_the_header(run: Run, tmp_path: Path) -> None:
    """Spreadsheets write one."""
    (tmp_path / "in.csv").write_bytes(b"\xef\xbb\xbfuser_uuid,value\n" + f"{USERS[1]},v\n".encode())
    assert run("encrypt", "in.csv", "out.csv").exit_code == 0
    assert (tmp_path / "out.csv").read_bytes().startswith(b"user_uuid,encrypted_data")


@pytest.mark.parametrize(
    "broken", [b'5,"unclosed\n6,u,v\n', b'5,"closed"too soon,v\n'], ids=["unclosed", "behind"]
)
def test_a_broken_quote_ends_the_run_behind_the_rows_before_it(
    run: Run, tmp_path: Path, broken: bytes
) -> None:
    """The message names the line; the rows before it are kept, and --force starts over."""
    write_csv(tmp_path / "in.csv", ROWS[:5])
    with (tmp_path / "in.csv").open("ab") as file:
        file.write(broken)
    done = run("encrypt", "in.csv", "out.csv")
    assert done.exit_code == ExitCode.USAGE
    assert "in the row that begins in line 7;" in done.stderr
    assert len(read_csv(tmp_path / "out.csv.part")) == 5
    write_csv(tmp_path / "in.csv", ROWS[:5])
    assert run("encrypt", "in.csv", "out.csv").exit_code == ExitCode.USAGE
    assert run("encrypt", "in.csv", "out.csv", "--force").exit_code == 0


def test_an_empty_json_file_is_refused(run: Run, tmp_path: Path) -> None:
    """There is no row to learn the members from."""
    (tmp_path / "in.jsonl").write_bytes(b"")
    assert run("encrypt", "in.jsonl", "out.jsonl").stderr == "caas: the input is empty\n"


def test_a_header_alone_gives_a_header_alone(run: Run, tmp_path: Path) -> None:
    """No rows are no mistake."""
    write_csv(tmp_path / "in.csv", [])
    assert run("encrypt", "in.csv", "out.csv").exit_code == 0
    assert (tmp_path / "out.csv").read_text() == "id,user_uuid,encrypted_data,key_version\n"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["in.csv", "in.csv"], "the input is also an output"),
        (["in.csv", "link.csv"], "the input is also an output"),
        (["in.csv", "out.csv", "--failures", "in.csv"], "the input is also an output"),
        (["in.csv", "out.csv", "--failures", "out.csv"], "are the same file"),
        (["in.csv", "no/out.csv"], "is not there"),
        (["in.csv", "folder"], "the output is a folder"),
        (["folder", "out.csv", "--format", "csv"], "not a regular file"),
        (["none.csv", "out.csv"], "the input: No such file"),
        (["in.csv"], "an output file is missing"),
        (["in.csv", "out.csv", "--table", "t"], "or a table"),
        (["in.csv", "out.csv", "--resume", "--force"], "exclude each other"),
        (["in.csv", "out.csv", "--context", "c"], "takes no context"),
        (["in.csv", "out.csv", "--base64"], "on bytes"),
        (["in.csv", "out.csv", "--to", "nothing=x"], "--to is FIELD=COLUMN"),
        (["in.csv", "out.csv", "--to", "key_version=id"], "two columns of one name"),
        (["in.csv", "out.csv", "--delimiter", "xx"], "one character"),
        (["in.txt", "out.csv"], "say --format"),
    ],
)
def test_what_can_do_harm_or_makes_no_sense_is_refused(
    run: Run, tmp_path: Path, args: list[str], text: str
) -> None:
    """In one line, with nothing touched."""
    write_csv(tmp_path / "in.csv")
    (tmp_path / "in.txt").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.csv").hardlink_to(tmp_path / "in.csv")
    before = files(tmp_path)
    done = run("encrypt", *args)
    assert done.exit_code in {ExitCode.USAGE, ExitCode.CONFIGURATION}
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert files(tmp_path) == before


def test_an_output_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    """Unless --force says so."""
    write_csv(tmp_path / "in.csv")
    (tmp_path / "out.csv").write_text("mine")
    assert run("encrypt", "in.csv", "out.csv").exit_code == ExitCode.USAGE
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert run("encrypt", "in.csv", "out.csv", "--force").exit_code == 0
    assert len(read_csv(tmp_path / "out.csv")) == 5


# --- runs that are stopped -----------------------------------------------------------------------


@pytest.fixture
def stopped_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, BaseException], None]:
    """Make a run end with an exception when some chunks are settled."""
    real = file_run._Work.settle

    def install(chunks: int, error: BaseException) -> None:
        left = [chunks]

        def settle(work: Any, settled: Any) -> None:
            if not left[0]:
                monkeypatch.setattr(file_run._Work, "settle", real)
                raise error
            left[0] -= 1
            real(work, settled)

        monkeypatch.setattr(file_run._Work, "settle", settle)

    return install


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_interrupted_run_goes_on_where_it_was(
    run: Run, tmp_path: Path, stopped_after: Any, kind: str
) -> None:
    """Ctrl-C, then --resume: the bytes are those of a run that was never stopped."""
    rows = [*ROWS[:700], ("700", "bad", "v"), *ROWS[701:]]
    write_csv(tmp_path / "in.csv", rows)
    if kind == "jsonl":
        lines = [{"id": i, "user_uuid": u, "value": v} for i, u, v in rows]
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run("encrypt", f"in.{kind}", f"whole.{kind}")
    stopped_after(2, KeyboardInterrupt())
    stopped = run("encrypt", f"in.{kind}", f"out.{kind}")
    assert (stopped.exit_code, stopped.stderr) == (
        ExitCode.TEMPORARY,
        "caas: stopped; what is done is kept; the same command with --resume goes on\n",
    )
    assert run("encrypt", f"in.{kind}", f"out.{kind}").exit_code == ExitCode.USAGE
    assert run("encrypt", f"in.{kind}", f"out.{kind}", "--resume").exit_code == ExitCode.NEGATIVE
    for name in (kind, f"{kind}.failures.csv"):
        out, whole = tmp_path / f"out.{name}", tmp_path / f"whole.{name}"
        assert out.read_bytes() == whole.read_bytes()


def test_what_stands_behind_the_checkpoint_is_dropped(
    run: Run, tmp_path: Path, stopped_after: Any
) -> None:
    """A kill leaves rows, half a row and half a journal line that no checkpoint counts."""
    write_csv(tmp_path / "in.csv", ROWS)
    run("encrypt", "in.csv", "whole.csv")
    stopped_after(2, KeyboardInterrupt())
    run("encrypt", "in.csv", "out.csv")
    for name in ("part", "failures.csv", "journal"):
        with (tmp_path / f"out.csv.{name}").open("ab") as file:
            file.write(b'{"rows":1500,"half')
    assert run("encrypt", "in.csv", "out.csv", "--resume").exit_code == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert files(tmp_path) == {"in.csv", "out.csv", "whole.csv"}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda path: os.utime(path, ns=(1, 1)), "another input, or the input has changed"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "the input has changed"),
    ],
    ids=["time", "size"],
)
def test_another_input_is_not_gone_on_with(
    run: Run, tmp_path: Path, stopped_after: Any, change: Any, text: str
) -> None:
    """Rows would be passed over that were never done."""
    write_csv(tmp_path / "in.csv", ROWS)
    stopped_after(2, KeyboardInterrupt())
    run("encrypt", "in.csv", "out.csv")
    change(tmp_path / "in.csv")
    done = run("encrypt", "in.csv", "out.csv", "--resume")
    assert done.exit_code == ExitCode.USAGE
    assert text in done.stderr


def test_other_options_are_not_gone_on_with(run: Run, tmp_path: Path, stopped_after: Any) -> None:
    """An output has one form from its first row to its last."""
    write_csv(tmp_path / "in.csv", ROWS)
    stopped_after(2, KeyboardInterrupt())
    run("encrypt", "in.csv", "out.csv")
    done = run("encrypt", "in.csv", "out.csv", "--resume", "--keep", "id")
    assert "was begun with other options" in done.stderr
    done = run("wrap", "in.csv", "out.csv", "--resume")
    assert "is of another operation" in done.stderr


def test_another_api_key_is_not_gone_on_with(
    run: Run, tmp_path: Path, stopped_after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be another tenant's: the output would hold two tenants' values."""
    write_csv(tmp_path / "in.csv", ROWS)
    stopped_after(2, KeyboardInterrupt())
    run("encrypt", "in.csv", "out.csv")
    monkeypatch.setenv("CAAS_API_KEY", "another")
    assert "another API key" in run("encrypt", "in.csv", "out.csv", "--resume").stderr


def test_resume_without_a_run_begins_one(run: Run, tmp_path: Path) -> None:
    """A script may always say --resume."""
    write_csv(tmp_path / "in.csv")
    assert run("encrypt", "in.csv", "out.csv", "--resume").exit_code == 0
    again = run("encrypt", "in.csv", "out.csv", "--resume")
    assert (again.exit_code, again.stdout) == (0, "finished already\n")


@pytest.mark.parametrize("step", ["replace", "unlink"])
def test_a_run_that_was_killed_at_its_last_step_can_be_finished(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Between the last checkpoint and the name, and between the name and the journal's end."""
    write_csv(tmp_path / "in.csv")
    real = getattr(Path, step)

    def killed(path: Path, *args: Any, **options: Any) -> Any:
        if path.suffix in {".part", ".journal"}:
            monkeypatch.setattr(Path, step, real)
            raise KeyboardInterrupt
        return real(path, *args, **options)

    if step == "unlink":
        monkeypatch.setattr(file_run.Places, "clear", lambda _places: None)
    monkeypatch.setattr(Path, step, killed)
    assert run("encrypt", "in.csv", "out.csv").exit_code == ExitCode.TEMPORARY
    assert run("encrypt", "in.csv", "out.csv", "--resume").exit_code == 0
    assert len(read_csv(tmp_path / "out.csv")) == 5
    assert files(tmp_path) == {"in.csv", "out.csv"}


def test_two_runs_to_one_output_refuse_each_other(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second finds the journal locked, whatever it was told."""
    write_csv(tmp_path / "in.csv")
    inner: list[Result] = []
    real = pipeline.run

    def meanwhile(*args: Any, **options: Any) -> None:
        monkeypatch.setattr(pipeline, "run", real)
        inner.extend(run("encrypt", "in.csv", "out.csv", f) for f in ("--resume", "--force"))
        real(*args, **options)

    monkeypatch.setattr(pipeline, "run", meanwhile)
    assert run("encrypt", "in.csv", "out.csv").exit_code == 0
    assert [done.exit_code for done in inner] == [ExitCode.UNAVAILABLE] * 2


def test_an_input_that_changes_meanwhile_is_noticed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output doesn't get its name."""
    path = write_csv(tmp_path / "in.csv")
    real = pipeline.run

    def meanwhile(*args: Any, **options: Any) -> None:
        real(*args, **options)
        os.utime(path, ns=(1, 1))

    monkeypatch.setattr(pipeline, "run", meanwhile)
    assert "was changed while it was read" in run("encrypt", "in.csv", "out.csv").stderr
    assert not (tmp_path / "out.csv").exists()


# --- a service that is away, slow or refuses -----------------------------------------------------


def test_a_service_that_is_away_stops_the_run_where_it_can_be_resumed(
    run: Run, service: InMemoryService, tmp_path: Path
) -> None:
    """After the patience that was given; nothing is a failure of a row."""
    write_csv(tmp_path / "in.csv")
    with service.outage():
        done = run("encrypt", "in.csv", "out.csv", "--patience", "0")
    assert done.exit_code == ExitCode.UNAVAILABLE
    assert "--resume goes on" in done.stderr
    assert run("encrypt", "in.csv", "out.csv", "--resume").exit_code == 0
    assert len(read_csv(tmp_path / "out.csv")) == 5


def test_a_refused_api_key_stops_the_run(
    run: Run, service: InMemoryService, tmp_path: Path
) -> None:
    """No row is to blame."""
    write_csv(tmp_path / "in.csv")
    service.revoke_api_key(service.api_key)
    assert run("encrypt", "in.csv", "out.csv").exit_code == ExitCode.REFUSED


def test_limited_rows_are_asked_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time that the answer names; the others keep their answers."""
    write_csv(tmp_path / "in.csv")
    real = Client.encrypt_many
    asked: list[int] = []

    def limited(client: Client, pairs: Any, **options: Any) -> Any:
        asked.append(len(pairs))
        results = real(client, pairs, **options)
        if len(asked) == 1:
            results[1] = results[3] = RateLimitedError(retry_after_s=0.01)
        return results

    monkeypatch.setattr(Client, "encrypt_many", limited)
    assert run("encrypt", "in.csv", "out.csv").exit_code == 0
    assert (asked, len(read_csv(tmp_path / "out.csv"))) == ([5, 2], 5)


def test_a_row_that_stays_limited_fails(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its wait is over the patience; the others are done."""
    write_csv(tmp_path / "in.csv")
    real = Client.encrypt_many

    def limited(client: Client, pairs: Any, **options: Any) -> Any:
        results = real(client, pairs, **options)
        results[1] = RateLimitedError(retry_after_s=86_400)
        return results

    monkeypatch.setattr(Client, "encrypt_many", limited)
    assert run("encrypt", "in.csv", "out.csv").exit_code == ExitCode.NEGATIVE
    assert read_csv(tmp_path / "out.csv.failures.csv")[0]["code"] == "rate_limited"


# --- full disks ----------------------------------------------------------------------------------

FULL = """
import resource, sys
from caas_cli import requests
from caas_cli.main import main
from producer_client.testing import InMemoryService
service = InMemoryService()
requests.client = lambda home: service.client()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
main()
"""


@pytest.mark.parametrize("room_bytes", [0, 60, 400, 20_000])
def test_a_full_disk_stops_the_run_where_it_can_be_resumed(
    tmp_path: Path, room_bytes: int, run: Run
) -> None:
    """At any point: of the journal, the header, the first rows, the later ones."""
    write_csv(tmp_path / "in.csv", ROWS)
    arguments = ["bulk", "encrypt", "in.csv", "out.csv", "--checkpoint-every", "0"]
    environment = {**os.environ, "CAAS_HOME": str(tmp_path / "home"), "CAAS_API_KEY": "k" * 20}
    full = subprocess.run(
        [sys.executable, "-c", FULL, str(room_bytes), *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (full.returncode, "File too large; what is" in full.stderr) == (75, True)
    assert not (tmp_path / "out.csv").exists()
    roomy = subprocess.run(
        [sys.executable, "-c", FULL, str(2**30), *arguments, "--resume"],
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert roomy.returncode == 0
    assert [row["id"] for row in read_csv(tmp_path / "out.csv")] == [row[0] for row in ROWS]


def test_an_output_that_may_not_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    """A folder that takes no files, whoever asks."""
    write_csv(tmp_path / "in.csv")
    done = run("encrypt", "in.csv", "/proc/out.csv")
    assert (done.exit_code, done.stderr.count("\n")) == (ExitCode.CONFIGURATION, 1)
