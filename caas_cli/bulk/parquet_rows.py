"""Parquet files: columns in, columns with results out, their types kept.

A Parquet file can't be continued once it is closed, so the output is written in parts, which a
finished run joins to one file; its row groups are of one size whatever the parts were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from caas_cli.bulk.chunks import INVALID_REQUEST, Chunk, Entry, InputError, Outcome
from caas_cli.bulk.columns import Columns, place_of, refuse_duplicates
from caas_cli.bulk.operations import MakeEntry
from caas_cli.bulk.private_files import plain_problems
from caas_tasks.names import Field

CHUNK_BYTES: Final = 1024 * 1024
"""Memory of a chunk above which it is divided."""

_NOT_TEXT: Final = {Field.KEY_VERSION: pa.int64(), "changed": pa.bool_()}
"""Result fields that are something else than text."""


class ParquetRows:
    """Reads a Parquet file in chunks and puts results beside its columns.

    Args:
        columns: which column is what.
        make_entry: from user's UUID, value and context to what is asked.
        chunk_rows: most rows of a chunk.
        takes_bytes: whether the value may be of a binary type.

    Attributes:
        schema: the output's.

    Raises:
        InputError: not a Parquet file, or a column is missing or of another type.
        CommandError: the file can't be read.
    """

    def __init__(
        self,
        path: Path,
        columns: Columns,
        make_entry: MakeEntry,
        chunk_rows: int,
        *,
        takes_bytes: bool,
    ) -> None:
        with plain_problems("the input"):
            self._raw = path.open("rb")
        self._columns = columns
        self._make_entry = make_entry
        self._chunk_rows = chunk_rows
        self.position = 0
        try:
            self._file = _open(self._raw)
            names = self._file.schema_arrow.names
            refuse_duplicates(names)
            self._check(columns.user_uuid, "--uuid-column", takes_bytes=False)
            self._check(columns.value, "--value-column", takes_bytes=takes_bytes)
            if columns.context_column is not None:
                self._check(columns.context_column, "--context-column", takes_bytes=True)
            if columns.key is not None:
                place_of(names, columns.key, "--key-column")
            self._kept = columns.kept_of(names)
            for name in self._kept:
                place_of(names, name, "--keep")
        except BaseException:
            self._raw.close()
            raise
        kept = [self._file.schema_arrow.field(name) for name in self._kept]
        self._types = [_NOT_TEXT.get(field, pa.string()) for field in columns.results]
        made = zip(columns.results.values(), self._types, strict=True)
        self.schema = pa.schema([*kept, *(pa.field(name, kind) for name, kind in made)])

    @property
    def length(self) -> int:
        """The number of rows."""
        return int(self._file.metadata.num_rows)

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def _check(self, name: str, option: str, *, takes_bytes: bool) -> None:
        schema = self._file.schema_arrow
        kind = schema.field(place_of(schema.names, name, option)).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        is_uuid = option == "--uuid-column" and kind == pa.uuid()
        if not (is_text or is_uuid or (takes_bytes and is_bytes)):
            raise InputError(f"the column that {option} gives is not of a type that holds text")

    def chunks(self, skip: int) -> Iterator[Chunk]:
        """The rows in chunks.

        Args:
            skip: rows at the beginning that are done.

        Raises:
            InputError: fewer rows than `skip`, or the file is damaged.
        """
        if self.length < skip:
            raise InputError("the input has fewer rows than are done")
        for whole in self._batches():
            fresh = whole.slice(max(0, skip - self.position))
            self.position += whole.num_rows
            first = self.position - fresh.num_rows + 1
            for batch in _divided(fresh):
                yield self._chunk(first, batch)
                first += batch.num_rows

    def _batches(self) -> Iterator[Any]:
        c = self._columns
        needed = {c.user_uuid, c.value, c.context_column, c.key, *self._kept} - {None}
        problem = False
        batches = self._file.iter_batches(self._chunk_rows, columns=sorted(map(str, needed)))
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError):
                problem, batch = True, None
            if problem:
                raise InputError(f"the Parquet file is damaged behind row {self.position}")
            if batch is None:
                return
            yield batch

    def _chunk(self, first: int, batch: Any) -> Chunk:
        c = self._columns
        uuids = batch.column(c.user_uuid).to_pylist()
        values = batch.column(c.value).to_pylist()
        contexts: list[bytes | None] = [c.context] * len(uuids)
        if c.context_column is not None:
            contexts = [_bytes(cell) for cell in batch.column(c.context_column).to_pylist()]
        entries: list[Entry | str] = [
            INVALID_REQUEST if context is None else self._make_entry(user_uuid, value, context)
            for user_uuid, value, context in zip(uuids, values, contexts, strict=True)
        ]
        keys: Sequence[object] = ()
        if c.key is not None:
            cells = batch.column(c.key).to_pylist()
            keys = [cell if isinstance(cell, str | int) else "" for cell in cells]
        return Chunk(first, batch, entries, keys)

    def encode(self, batch: Any, outcomes: Sequence[Outcome]) -> Any:
        """The output's rows of those that succeeded."""
        done = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
        kept = batch.select(self._kept)
        if len(done) < len(outcomes):
            kept = kept.filter(pa.array([isinstance(outcome, tuple) for outcome in outcomes]))
        made = [
            pa.array([fields[i] for fields in done], kind) for i, kind in enumerate(self._types)
        ]
        return pa.RecordBatch.from_arrays([*kept.columns, *made], schema=self.schema)


def _open(raw: Any) -> Any:
    try:
        return pq.ParquetFile(raw)
    except (pa.ArrowException, OSError, ValueError):
        pass
    raise InputError("the input is not a Parquet file, or it is damaged")


def _bytes(cell: object) -> bytes | None:
    if isinstance(cell, str):
        return cell.encode()
    return cell if isinstance(cell, bytes) else None


def _divided(batch: Any) -> Iterator[Any]:
    """A batch in pieces of bounded memory."""
    if not batch.num_rows:
        return
    if batch.num_rows > 1 and batch.nbytes > CHUNK_BYTES:
        half = batch.num_rows // 2
        yield from _divided(batch.slice(0, half))
        yield from _divided(batch.slice(half))
    else:
        yield batch
