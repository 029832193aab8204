"""CSV files (RFC 4180, UTF-8, a header): rows in, rows with result columns out.

A row that can't be taken fails by itself: a wrong number of cells, bytes that are not UTF-8, a NUL.
A broken quote ends the run, since nobody can say where the next row begins.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Final

from caas_cli.bulk.chunks import MALFORMED_ROW, NOT_UTF8, NUL, Chunk, Entry, InputError, Outcome
from caas_cli.bulk.columns import Columns, place_of, refuse_duplicates
from caas_cli.bulk.operations import MakeEntry
from caas_cli.bulk.private_files import plain_problems

CHUNK_CHARS: Final = 512 * 1024
"""Text of a chunk after which no further row joins it."""

MAX_CELL_CHARS: Final = 1024 * 1024
"""Longest cell; behind a quote that is never closed the rest of the file is one."""

READ_BYTES: Final = 256 * 1024
_Row = list[str]


class CsvRows:
    """Reads a CSV file in chunks and encodes its rows with their results.

    Args:
        columns: which column is what.
        make_entry: from user's UUID, value and context to what is asked.
        chunk_rows: most rows of a chunk.
        is_plain: what is asked is a pair of two cells as they are.

    Raises:
        InputError: no header, a column that is missing or there twice.
        CommandError: the file can't be read.
    """

    def __init__(
        self,
        path: Path,
        columns: Columns,
        make_entry: MakeEntry,
        chunk_rows: int,
        *,
        is_plain: bool = False,
    ) -> None:
        with plain_problems("the input"):
            self._raw = path.open("rb", buffering=0)
            self.length = path.stat().st_size
        self._text = io.TextIOWrapper(
            io.BufferedReader(self._raw, READ_BYTES),
            encoding="utf-8-sig",
            errors="surrogateescape",
            newline="",
        )
        self._columns = columns
        self._make_entry = make_entry
        self._chunk_rows = chunk_rows
        self._is_plain = is_plain
        self._reader = csv.reader(self._text, delimiter=columns.delimiter, strict=True)
        self._line = 0
        csv.field_size_limit(MAX_CELL_CHARS)  # of the whole process, whose default is 128 KiB
        try:
            self._find_columns(self._read_header())
        except BaseException:
            self.close()
            raise

    def _find_columns(self, header: _Row) -> None:
        columns = self._columns
        self._width = len(header)
        self._uuid = place_of(header, columns.user_uuid, "--uuid-column")
        self._value = place_of(header, columns.value, "--value-column")
        self._context = _maybe_place(header, columns.context_column, "--context-column")
        self._key = _maybe_place(header, columns.key, "--key-column")
        kept = columns.kept_of(header)
        self._keep = _picker([place_of(header, name, "--keep") for name in kept])
        self.header = _encode([[*kept, *columns.results.values()]], columns.delimiter)

    @property
    def position(self) -> int:
        """How far the file is read, in bytes."""
        return self._raw.tell()

    def close(self) -> None:
        """Close the file."""
        self._text.close()

    def _read_header(self) -> _Row:
        header = next(self._rows(1), None)
        if header is None:
            raise InputError("the input is empty: it has not even a header")
        if not _is_text("".join(header)):
            raise InputError("the header is not UTF-8 text")
        refuse_duplicates(header)
        return header

    def chunks(self, skip: int) -> Iterator[Chunk]:
        """The rows in chunks.

        Args:
            skip: rows at the beginning that are done.

        Raises:
            InputError: a broken quote, or fewer rows than `skip`.
        """
        if sum(1 for _ in self._rows(skip)) < skip:
            raise InputError("the input has fewer rows than are done")
        number = skip + 1
        while True:
            rows: list[_Row] = []
            entries: list[Entry | str] = []
            problem = self._fill(rows, entries)
            keys = () if self._key is None else [_cell(row, self._key) for row in rows]
            if rows:
                yield Chunk(number, rows, entries, keys)
            if problem is not None:
                raise problem
            if not rows:
                return
            number += len(rows)

    def _fill(self, rows: list[_Row], entries: list[Entry | str]) -> InputError | None:
        """Read one chunk's rows; what keeps from reading on behind them."""
        width, user_uuid, value = self._width, self._uuid, self._value
        size_chars = 0
        try:
            for row in self._rows(self._chunk_rows):
                rows.append(row)
                text = "".join(row)
                if self._is_plain and len(row) == width and text.isascii() and "\0" not in text:
                    entries.append((row[user_uuid], row[value]))  # what `_entry` comes to
                else:
                    entries.append(self._entry(row, text))
                size_chars += len(text)
                if size_chars >= CHUNK_CHARS:
                    break
        except InputError as error:
            return InputError(str(error))
        return None

    def _rows(self, most: int) -> Iterator[_Row]:
        """The next rows; a blank line is none."""
        is_broken = False
        reader = self._reader
        try:
            for row in reader if most else ():
                self._line = reader.line_num
                if row:
                    most -= 1
                    yield row
                    if not most:
                        return
        except csv.Error:
            is_broken = True
        if is_broken:
            raise InputError(
                f"a quote is broken, or a cell too long, in the row that begins in line "
                f"{self._line + 1}; nothing behind it is done"
            )

    def _entry(self, row: _Row, text: str) -> Entry | str:
        if len(row) != self._width:
            return MALFORMED_ROW
        if "\0" in text:
            return NUL
        if not _is_text(text):
            return NOT_UTF8
        context = self._columns.context
        if self._context is not None:
            context = row[self._context].encode()
        return self._make_entry(row[self._uuid], row[self._value], context)

    def encode(self, rows: list[_Row], outcomes: Sequence[Outcome]) -> bytes:
        """The output's rows of those that succeeded."""
        keep = self._keep
        return _encode(
            [
                [*keep(row), *map(str, outcome)]
                for row, outcome in zip(rows, outcomes, strict=True)
                if type(outcome) is tuple
            ],
            self._columns.delimiter,
        )


def _is_text(text: str) -> bool:
    """Whether there is no byte in it that was not UTF-8; a surrogate stands for one."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _maybe_place(header: _Row, name: str | None, option: str) -> int | None:
    return None if name is None else place_of(header, name, option)


def _picker(places: Sequence[int]) -> Callable[[_Row], tuple[str, ...]]:
    """Takes some cells of a row, as a tuple however many they are."""
    if not places:
        return lambda _row: ()
    if len(places) == 1:
        only = places[0]
        return lambda row: (row[only],)
    return itemgetter(*places)


def _cell(row: _Row, place: int) -> str:
    return row[place] if place < len(row) else ""


def _encode(rows: list[_Row], delimiter: str) -> bytes:
    lines: list[str] = []
    for row in rows:
        line = delimiter.join(row)
        # Nothing in it needs quotes: this is several times as fast as csv's writer.
        is_simple = line.count(delimiter) == len(row) - 1 and bool(line)
        if is_simple and not ('"' in line or "\n" in line or "\r" in line):
            lines.append(line + "\n")
        else:
            lines.append(_quoted(row, delimiter))
    return "".join(lines).encode()


def _quoted(row: _Row, delimiter: str) -> str:
    text = io.StringIO()
    # Python 3.11 leaves a lone carriage return without quotes, and readers take it for an end.
    has_return = any("\r" in cell for cell in row)
    csv.writer(
        text,
        delimiter=delimiter,
        lineterminator="\n",
        quoting=csv.QUOTE_ALL if has_return else csv.QUOTE_MINIMAL,
    ).writerow(row)
    return text.getvalue()
