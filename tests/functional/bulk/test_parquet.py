"""`caas bulk` over Parquet files, from the options to the real operations in memory."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from caas_cli.bulk import file_run, parquet_parts
from caas_cli.exit_codes import ExitCode
from producer_client.testing import InMemoryService

USERS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(2_000)]
Run = Callable[..., Result]


def write(path: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), path)


def rows_of(count: int) -> dict[str, Any]:
    return {
        "id": pa.array(range(count), pa.int32()),
        "user_uuid": USERS[:count],
        "value": [f"value {number}" for number in range(count)],
    }


def test_encrypt_keeps_the_columns_and_their_types(
    run: Run, service: InMemoryService, tmp_path: Path
) -> None:
    """The other columns come out as they were, with the results beside them."""
    write(tmp_path / "in.parquet", **rows_of(3))
    assert run("encrypt", "in.parquet", "out.parquet").exit_code == 0
    table = pq.read_table(tmp_path / "out.parquet")
    with service.client() as client:
        expected = [client.encrypt(USERS[i], f"value {i}").encrypted_data for i in range(3)]
    assert table.schema.types == [pa.int32(), pa.string(), pa.string(), pa.int64()]
    assert table["encrypted_data"].to_pylist() == expected


def test_bytes_are_sealed_as_they_are(run: Run, service: InMemoryService, tmp_path: Path) -> None:
    """A binary column needs no base64, a UUID column no text."""
    write(
        tmp_path / "in.parquet",
        user_uuid=pa.array([uuid.UUID(USERS[1]).bytes], pa.uuid()),
        value=pa.array([b"\x00\xff"], pa.binary()),
        c=["ctx"],
    )
    run("seal", "in.parquet", "out.parquet", "--context-column", "c", "--to", "token=token")
    (token,) = pq.read_table(tmp_path / "out.parquet")["token"].to_pylist()
    with service.client() as client:
        assert client.open(USERS[1], token, b"ctx") == b"\x00\xff"


def test_rows_that_fail_are_left_out(run: Run, tmp_path: Path) -> None:
    """A null and a bad UUID are listed by their keys."""
    columns = rows_of(4)
    columns["value"][1] = None
    columns["user_uuid"] = [*USERS[:2], "bad", USERS[3]]
    write(tmp_path / "in.parquet", **columns)
    done = run("encrypt", "in.parquet", "out.parquet", "--key-column", "id")
    assert done.exit_code == ExitCode.NEGATIVE
    assert pq.read_table(tmp_path / "out.parquet")["id"].to_pylist() == [0, 3]
    assert (tmp_path / "out.parquet.failures.csv").read_text() == (
        "row,key,code\n2,1,missing_value\n3,2,invalid_request\n"
    )


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"user_uuid": ["u"], "value": [5]}, "that --value-column gives is not of a type"),
        ({"user_uuid": [5], "value": ["v"]}, "that --uuid-column gives is not of a type"),
        ({"user_uuid": ["u"], "value": [b"v"]}, "that --value-column gives is not of a type"),
        ({"user_uuid": ["u"]}, "no column of the name that --value-column gives"),
    ],
)
def test_columns_of_another_type_are_refused(
    run: Run, tmp_path: Path, columns: dict[str, Any], text: str
) -> None:
    """Before anything is asked."""
    write(tmp_path / "in.parquet", **columns)
    done = run("encrypt", "in.parquet", "out.parquet")
    assert done.exit_code == ExitCode.USAGE
    assert text in done.stderr


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_file_that_is_no_parquet_is_refused(run: Run, tmp_path: Path, content: bytes) -> None:
    """Whatever its ending says."""
    (tmp_path / "in.parquet").write_bytes(content)
    done = run("encrypt", "in.parquet", "out.parquet")
    assert (done.exit_code, done.stderr) == (
        ExitCode.USAGE,
        "caas: the input is not a Parquet file, or it is damaged\n",
    )


def test_an_interrupted_run_goes_on_where_it_was(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is that of a run that was never stopped, down to its bytes."""
    write(tmp_path / "in.parquet", **rows_of(2_000))
    monkeypatch.setattr(parquet_parts, "GROUP_ROWS", 700)
    run("encrypt", "in.parquet", "whole.parquet")
    real = file_run._Work.settle
    left = [3]

    def settle(work: Any, settled: Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        real(work, settled)

    monkeypatch.setattr(file_run._Work, "settle", settle)
    assert run("encrypt", "in.parquet", "out.parquet").exit_code == ExitCode.TEMPORARY
    (tmp_path / "out.parquet.parts" / "00000099.parquet").write_bytes(b"half a part")
    assert run("encrypt", "in.parquet", "out.parquet", "--resume").exit_code == 0
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert {path.name for path in tmp_path.glob("out.*")} == {"out.parquet"}


def test_large_values_are_divided(run: Run, tmp_path: Path) -> None:
    """A batch of half a gigabyte would be one for the default of rows alone."""
    big = "x" * 60_000
    write(tmp_path / "in.parquet", user_uuid=USERS[:100], value=[big] * 100)
    assert run("encrypt", "in.parquet", "out.parquet").exit_code == 0
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 100


def test_without_the_extra_one_line_says_what_to_install(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CSV needs no extra; Parquet names it."""
    write(tmp_path / "in.parquet", **rows_of(1))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "caas_cli.bulk.parquet_rows", raising=False)
    done = run("encrypt", "in.parquet", "out.parquet")
    assert (done.exit_code, "pip install 'caas[bulk]'" in done.stderr) == (
        ExitCode.CONFIGURATION,
        True,
    )


def test_a_dry_run_reads_it_all(run: Run, tmp_path: Path) -> None:
    """Nothing is asked or written."""
    write(tmp_path / "in.parquet", **rows_of(5))
    assert json.loads(run("encrypt", "in.parquet", "--dry-run", "--json").stdout)["rows"] == 5
