"""Which kind of file the input is, and what reads and writes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from caas_cli.bulk.chunks import Chunk, Outcome
from caas_cli.bulk.columns import Columns
from caas_cli.bulk.extra import needing_extra
from caas_cli.bulk.kinds import Format
from caas_cli.bulk.operations import BulkOperation
from caas_cli.bulk.places import Places
from caas_cli.exit_codes import UsageError

LINES_CHECKPOINT_S: Final = 1.0
PARTS_CHECKPOINT_S: Final = 10.0
"""Seconds between two checkpoints, when nothing else is said; each makes a file of Parquet."""


_BY_ENDING: Final = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".parquet": Format.PARQUET,
}


class Rows(Protocol):
    """An input's rows, and how they look in the output.

    Attributes:
        length: of the whole input, in the unit of `position`.
    """

    @property
    def length(self) -> int:
        """The whole input, in the unit of `position`."""

    @property
    def position(self) -> int:
        """How far the input is read."""

    def chunks(self, skip: int) -> Iterator[Chunk]:
        """The rows behind the first `skip`, in chunks."""

    def encode(self, rows: Any, outcomes: Sequence[Outcome]) -> Any:
        """Those rows that succeeded, in the output's form."""

    def close(self) -> None:
        """Close the input."""


class Output(Protocol):
    """An output that is not finished."""

    def write(self, encoded: Any, /) -> None:
        """Add rows, as `Rows.encode` gave them."""

    def sync(self) -> int:
        """Make sure of all rows so far; what a checkpoint notes of it."""

    def finish(self) -> None:
        """Make the file that gets the output's name."""

    def close(self) -> None:
        """Close it."""


def format_of(path: Path, given: Format | None) -> Format:
    """The kind of a file.

    Args:
        given: what was said; else its ending tells.

    Raises:
        UsageError: the ending is none that is known.
    """
    found = given or _BY_ENDING.get(path.suffix.lower())
    if found is None:
        raise UsageError("the input's ending is not .csv, .jsonl or .parquet; say --format")
    return found


def open_rows(kind: Format, path: Path, columns: Columns, operation: BulkOperation) -> Rows:
    """Open an input.

    Raises:
        CommandError: it can't be read, is no such file, or lacks columns.
    """
    make_entry = operation.entry_maker(columns.is_base64)
    if kind is Format.CSV:
        from caas_cli.bulk.csv_rows import CsvRows

        is_plain = not (operation.takes_bytes or operation.takes_context)
        return CsvRows(path, columns, make_entry, operation.chunk_rows, is_plain=is_plain)
    if kind is Format.JSONL:
        from caas_cli.bulk.json_rows import JsonRows

        return JsonRows(path, columns, make_entry, operation.chunk_rows)
    with needing_extra():
        from caas_cli.bulk.parquet_rows import ParquetRows
    return ParquetRows(
        path, columns, make_entry, operation.chunk_rows, takes_bytes=operation.takes_bytes
    )


def open_output(kind: Format, places: Places, rows: Any, sure: int) -> Output:
    """Open an unfinished output, new or at a checkpoint.

    Raises:
        CommandError: it can't be used.
    """
    if kind is Format.PARQUET:
        from caas_cli.bulk.parquet_parts import ParquetParts

        return ParquetParts(places.parts, places.part, rows.schema, sure)
    from caas_cli.bulk.line_output import LineOutput

    return LineOutput(places.part, rows.header, sure)
