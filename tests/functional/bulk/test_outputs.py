"""`caas bulk` over files: what comes out, and rows that fail."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from caas_cli.exit_codes import ExitCode
from producer_client import Client
from producer_client.testing import InMemoryService

USERS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(2_000)]
ROWS = [(str(number), user, f"value {number}") for number, user in enumerate(USERS)]
Run = Callable[..., Result]


@pytest.fixture
def client(service: InMemoryService) -> Iterator[Client]:
    with service.client() as made:
        yield made


def test_encrypt_writes_what_the_client_gives(run: Run, client: Client, folder: Any) -> None:
    """Every row has the value and the key version that a call of its own would have."""
    folder.write("in.csv")
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
    assert folder.read("out.csv") == expected


def test_wrap_writes_what_the_client_gives(run: Run, client: Client, folder: Any) -> None:
    """A legacy digest is wrapped."""
    folder.write("in.csv", [("1", USERS[1], "0cc175b9c0f1b6a831c399e269772661")])
    run("wrap", "in.csv", "out.csv", "--to", "wrapped=stored")
    wrapped = client.wrap(USERS[1], "0cc175b9c0f1b6a831c399e269772661").wrapped
    assert folder.read("out.csv") == [{"id": "1", "user_uuid": USERS[1], "stored": wrapped}]


def test_sealed_tokens_open_with_their_context(run: Run, client: Client, folder: Any) -> None:
    """A token is bound to its row's user and to the context that was given."""
    folder.write("in.csv")
    run("seal", "in.csv", "out.csv", "--context", "users.address")
    opened = [
        client.open(row["user_uuid"], row["token"], b"users.address").decode()
        for row in folder.read("out.csv")
    ]
    assert opened == [value for _, _, value in ROWS[:5]]


def test_sealed_bytes_come_from_base64(run: Run, client: Client, folder: Any) -> None:
    """With --base64 the bytes are sealed, not their spelling."""
    folder.write("in.csv", [("1", USERS[1], "AP8=")])
    run("seal", "in.csv", "out.csv", "--base64")
    (row,) = folder.read("out.csv")
    assert client.open(USERS[1], row["token"]) == b"\x00\xff"


def test_rewrapped_tokens_open(run: Run, client: Client, folder: Any) -> None:
    """A token under the primary version stays what it is."""
    token = client.seal(USERS[1], b"data", b"ctx")
    folder.write("in.csv", [(USERS[1], token, "ctx")], ("user_uuid", "value", "context"))
    run("rewrap", "in.csv", "out.csv", "--context-column", "context", "--to", "changed=changed")
    assert folder.read("out.csv")[0]["changed"] == "False"


def test_hashed_passwords_verify(run: Run, client: Client, folder: Any) -> None:
    """A password's hash verifies, and its key version can be asked for."""
    folder.write("in.csv", [("1", USERS[1], "correct horse")])
    run("hash-password", "in.csv", "out.csv", "--to", "hash=hash", "--to", "key_version=v")
    (row,) = folder.read("out.csv")
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


def test_the_value_is_not_in_the_output(run: Run, tmp_path: Path, folder: Any) -> None:
    """What was to be protected is the one column that the output doesn't repeat."""
    folder.write("in.csv")
    run("encrypt", "in.csv", "out.csv")
    assert b"value 3" not in (tmp_path / "out.csv").read_bytes()


def test_keep_chooses_columns(run: Run, folder: Any) -> None:
    """With --keep the output repeats those columns alone."""
    folder.write("in.csv")
    run("encrypt", "in.csv", "out.csv", "--keep", "id")
    assert list(folder.read("out.csv")[0]) == ["id", "encrypted_data", "key_version"]


def test_a_finished_run_leaves_the_output_alone_and_private(
    run: Run, tmp_path: Path, folder: Any
) -> None:
    """No journal, no part, no file of failures; the output is for its owner alone."""
    folder.write("in.csv")
    run("encrypt", "in.csv", "out.csv")
    assert folder.names() == {"in.csv", "out.csv"}
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600


def test_cells_that_need_quotes_survive(run: Run, folder: Any) -> None:
    """Quotes, separators, line ends and lone carriage returns come out as they went in."""
    hard = ['say "hi"', "a,b", "line\nend", "lone\rreturn", " space ", ""]
    folder.write("in.csv", [(cell, USERS[1], "v") for cell in hard])
    run("encrypt", "in.csv", "out.csv")
    assert [row["id"] for row in folder.read("out.csv")] == hard


def test_limit_does_the_first_rows(run: Run, folder: Any) -> None:
    """--limit counts rows of the input."""
    folder.write("in.csv", ROWS)
    run("encrypt", "in.csv", "out.csv", "--limit", "777")
    assert [row["id"] for row in folder.read("out.csv")] == [r[0] for r in ROWS[:777]]


def test_dry_run_asks_and_writes_nothing(run: Run, service: InMemoryService, folder: Any) -> None:
    """It says what would fail, with the service away."""
    folder.write("in.csv", [*ROWS[:5], ("5", "no uuid", "v")])
    with service.outage():
        done = run("encrypt", "in.csv", "out.csv", "--dry-run")
    assert (done.exit_code, done.stdout) == (
        ExitCode.NEGATIVE,
        "6 rows, 1 failed\n  1 invalid_request, first row 6\n",
    )
    assert folder.names() == {"in.csv"}


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
def test_a_bad_csv_row_fails_alone(
    run: Run, tmp_path: Path, folder: Any, row: bytes, code: str
) -> None:
    """The rows around it are done; its number and its code are listed, and the exit code tells."""
    folder.write("in.csv", ROWS[:5])
    with (tmp_path / "in.csv").open("ab") as file:
        file.write(row + b"\r\n" + ",".join(ROWS[6]).encode() + b"\r\n")
    done = run("encrypt", "in.csv", "out.csv")
    assert done.exit_code == ExitCode.NEGATIVE
    assert (tmp_path / "out.csv.failures.csv").read_text() == f"row,key,code\n6,,{code}\n"
    assert [r["id"] for r in folder.read("out.csv")] == ["0", "1", "2", "3", "4", "6"]


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


def test_a_long_cell_is_no_broken_quote(run: Run, folder: Any) -> None:
    """The csv module's own limit is 128 KiB."""
    folder.write("in.csv", [("x" * 200_000, USERS[1], "v")])
    assert run("encrypt", "in.csv", "out.csv").exit_code == 0


def test_failures_show_the_key_that_was_chosen(run: Run, folder: Any) -> None:
    """With --key-column a row that fails can be found by its key."""
    folder.write("in.csv", [("k-17", "bad", "v")])
    run("encrypt", "in.csv", "out.csv", "--key-column", "id")
    assert folder.read("out.csv.failures.csv") == [
        {"row": "1", "key": "k-17", "code": "invalid_request"}
    ]


def test_a_malformed_row_shows_no_key(run: Run, tmp_path: Path, folder: Any) -> None:
    """Its cells may stand in the wrong columns: what looks like the key may be the value."""
    folder.write("in.csv", [("secret value",)])
    run("encrypt", "in.csv", "out.csv", "--key-column", "id")
    assert "secret" not in (tmp_path / "out.csv.failures.csv").read_text()


def test_a_bad_uuid_far_behind_is_found(run: Run, folder: Any) -> None:
    """Row 1,501 of 2,000 fails, and no other."""
    rows = [*ROWS[:1_500], ("1500", "not-a-uuid", "v"), *ROWS[1_501:]]
    folder.write("in.csv", rows)
    done = run("encrypt", "in.csv", "out.csv", "--json")
    assert (done.exit_code, json.loads(done.stdout)["failed"]) == (ExitCode.NEGATIVE, 1)
    assert folder.read("out.csv.failures.csv")[0]["row"] == "1501"
