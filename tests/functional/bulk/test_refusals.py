"""`caas bulk` over files: inputs that can't be used, and what could do harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from caas_cli.exit_codes import ExitCode

USERS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(2_000)]
ROWS = [(str(number), user, f"value {number}") for number, user in enumerate(USERS)]
Run = Callable[..., Result]


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
    run: Run, tmp_path: Path, folder: Any, content: bytes, text: str
) -> None:
    """Before anything is asked or made, in one line without a name from the file."""
    (tmp_path / "in.csv").write_bytes(content)
    done = run("encrypt", "in.csv", "out.csv")
    assert (done.exit_code, done.stderr) == (ExitCode.USAGE, f"caas: {text}\n")
    assert folder.names() == {"in.csv"}


def test_a_byte_order_mark_is_no_part_of_the_header(run: Run, tmp_path: Path) -> None:
    """Spreadsheets write one."""
    (tmp_path / "in.csv").write_bytes(b"\xef\xbb\xbfuser_uuid,value\n" + f"{USERS[1]},v\n".encode())
    assert run("encrypt", "in.csv", "out.csv").exit_code == 0
    assert (tmp_path / "out.csv").read_bytes().startswith(b"user_uuid,encrypted_data")


@pytest.mark.parametrize(
    "broken", [b'5,"unclosed\n6,u,v\n', b'5,"closed"too soon,v\n'], ids=["unclosed", "behind"]
)
def test_a_broken_quote_ends_the_run_behind_the_rows_before_it(
    run: Run, tmp_path: Path, folder: Any, broken: bytes
) -> None:
    """The message names the line; the rows before it are kept, and --force starts over."""
    folder.write("in.csv", ROWS[:5])
    with (tmp_path / "in.csv").open("ab") as file:
        file.write(broken)
    done = run("encrypt", "in.csv", "out.csv")
    assert done.exit_code == ExitCode.USAGE
    assert "in the row that begins in line 7;" in done.stderr
    assert len(folder.read("out.csv.part")) == 5
    folder.write("in.csv", ROWS[:5])
    assert run("encrypt", "in.csv", "out.csv").exit_code == ExitCode.USAGE
    assert run("encrypt", "in.csv", "out.csv", "--force").exit_code == 0


def test_an_empty_json_file_is_refused(run: Run, tmp_path: Path) -> None:
    """There is no row to learn the members from."""
    (tmp_path / "in.jsonl").write_bytes(b"")
    assert run("encrypt", "in.jsonl", "out.jsonl").stderr == "caas: the input is empty\n"


def test_a_header_alone_gives_a_header_alone(run: Run, tmp_path: Path, folder: Any) -> None:
    """No rows are no mistake."""
    folder.write("in.csv", [])
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
    run: Run, tmp_path: Path, folder: Any, args: list[str], text: str
) -> None:
    """In one line, with nothing touched."""
    folder.write("in.csv")
    (tmp_path / "in.txt").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.csv").hardlink_to(tmp_path / "in.csv")
    before = folder.names()
    done = run("encrypt", *args)
    assert done.exit_code in {ExitCode.USAGE, ExitCode.CONFIGURATION}
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert folder.names() == before


def test_an_output_is_not_overwritten(run: Run, tmp_path: Path, folder: Any) -> None:
    """Unless --force says so."""
    folder.write("in.csv")
    (tmp_path / "out.csv").write_text("mine")
    assert run("encrypt", "in.csv", "out.csv").exit_code == ExitCode.USAGE
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert run("encrypt", "in.csv", "out.csv", "--force").exit_code == 0
    assert len(folder.read("out.csv")) == 5
