"""JSON lines: what is kept of an object beside its results."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from caas_cli.bulk.chunks import MALFORMED_ROW, Chunk
from caas_cli.bulk.columns import Columns
from caas_cli.bulk.json_rows import JsonRows
from caas_cli.bulk.operations import OPERATIONS

LINES = '{"user":"u","data":"a"}\n{"user":"u","data":"b","result":"precious"}\n'
ENCRYPT = OPERATIONS["encrypt"]
ReadChunk = Callable[[Columns], Chunk]


@pytest.fixture
def read_chunk(tmp_path: Path) -> ReadChunk:
    """Reads `LINES` in one chunk."""
    path = tmp_path / "in.jsonl"
    path.write_text(LINES)

    def read(columns: Columns) -> Chunk:
        with closing(JsonRows(path, columns, ENCRYPT.entry, 10)) as rows:
            return next(rows.chunks(0))

    return read


def test_member_that_a_result_would_replace_fails_its_row(read_chunk: ReadChunk) -> None:
    """A later object with a member of the result's name keeps it: its row fails."""
    columns = Columns("user", "data", {"encrypted_data": "result"})
    assert read_chunk(columns).entries == [("u", "a"), MALFORMED_ROW]


def test_member_that_is_not_kept_is_in_nobodys_way(read_chunk: ReadChunk) -> None:
    """Where the kept members are chosen, the others don't count."""
    columns = Columns("user", "data", {"encrypted_data": "result"}, keep=("user",))
    assert read_chunk(columns).entries == [("u", "a"), ("u", "b")]


def test_result_may_take_the_values_place(read_chunk: ReadChunk) -> None:
    """The value is not kept, so a result may have its name."""
    columns = Columns("user", "data", {"encrypted_data": "data"})
    assert read_chunk(columns).entries == [("u", "a"), ("u", "b")]
