"""A Parquet output in parts, of which a checkpoint counts the sure ones, joined at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from caas_cli.bulk.private_files import PRIVATE_FILE, plain_problems, sync_folder
from caas_cli.exit_codes import CommandError, ExitCode

GROUP_ROWS: Final = 50_000
"""Rows of a part at most, and of a row group of the finished file."""

_WHAT: Final = "the output"


class ParquetParts:
    """Parts of an output, `00000000.parquet` and so on, in a private folder.

    Args:
        folder: where; made when it isn't there.
        whole: the file that they are joined to.
        schema: the output's.
        parts: how many of them a checkpoint has made sure of; the others go away.

    Raises:
        CommandError: the folder can't be used, or lacks parts that are sure.
    """

    def __init__(self, folder: Path, whole: Path, schema: Any, parts: int) -> None:
        self._folder = folder
        self._whole = whole
        self._schema = schema
        self._parts = parts
        self._waiting: list[Any] = []
        self._waiting_rows = 0
        with plain_problems(_WHAT):
            folder.mkdir(mode=0o700, exist_ok=True)
            for stale in sorted(folder.glob("*.parquet"))[parts:]:
                stale.unlink()
        if parts and not self._path(parts - 1).exists():
            raise CommandError(
                f"{_WHAT}: lacks parts that the journal counts; --force starts over",
                ExitCode.CONFIGURATION,
            )

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.parquet"

    def write(self, batch: Any) -> None:
        """Add rows."""
        if batch.num_rows:
            self._waiting.append(batch)
            self._waiting_rows += batch.num_rows
        if self._waiting_rows >= GROUP_ROWS:
            self._write_part()

    def _write_part(self) -> None:
        with private_writer(self._path(self._parts), self._schema) as writer:
            writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._parts += 1
        self._waiting, self._waiting_rows = [], 0

    def sync(self) -> int:
        """Make sure of all rows so far; the number of parts."""
        if self._waiting:
            self._write_part()
        sync_folder(self._folder)  # also of parts that were full before
        return self._parts

    def finish(self) -> None:
        """Join the parts to one file, made anew if a killed run left one."""
        with plain_problems(_WHAT):
            self._whole.unlink(missing_ok=True)
        with private_writer(self._whole, self._schema) as writer:
            for table in self._groups():
                writer.write_table(table, row_group_size=GROUP_ROWS)
        sync_folder(self._whole.parent)

    def _groups(self) -> Iterator[Any]:
        """All rows in tables of one size, but for the last."""
        waiting = self._schema.empty_table()
        for number in range(self._parts):
            with plain_problems(_WHAT):
                part = pq.read_table(self._path(number), schema=self._schema)
            waiting = pa.concat_tables([waiting, part])
            while waiting.num_rows >= GROUP_ROWS:
                yield waiting.slice(0, GROUP_ROWS).combine_chunks()
                waiting = waiting.slice(GROUP_ROWS)
        if waiting.num_rows:
            yield waiting.combine_chunks()

    def close(self) -> None:
        """Nothing is open between two parts."""


@contextmanager
def private_writer(path: Path, schema: Any) -> Iterator[Any]:
    """A Parquet writer into a new private file, which is sure on disk at the end."""
    with plain_problems(_WHAT):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(path, flags, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file, pq.ParquetWriter(file, schema) as writer:
            yield writer
            writer.close()
            file.flush()
            os.fsync(descriptor)
