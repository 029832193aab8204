"""JSON lines: one object a line, UTF-8; each object out is the one that came in, without the value.

A line that is no JSON object fails by itself, and one with a member that a result would replace.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from caas_cli.bulk.chunks import (
    INVALID_REQUEST,
    MALFORMED_ROW,
    Chunk,
    Entry,
    InputError,
    Outcome,
)
from caas_cli.bulk.columns import Columns
from caas_cli.bulk.operations import MakeEntry
from caas_cli.bulk.private_files import plain_problems
from caas_tasks.encoding import decode_json_object
from caas_tasks.errors import InvalidRequestError

MAX_LINE_BYTES: Final = 1024 * 1024
"""Longest line that is looked at; a value is at most 64 KiB."""

CHUNK_BYTES: Final = 1024 * 1024
"""Lines of a chunk after which no further one joins it."""

_BOM: Final = b"\xef\xbb\xbf"


class JsonRows:
    """Reads JSON lines in chunks and encodes them with their results.

    Args:
        columns: which member is what.
        make_entry: from user's UUID, value and context to what is asked.
        chunk_rows: most rows of a chunk.

    Raises:
        InputError: the first object lacks a member that the options name.
        CommandError: the file can't be read.
    """

    header = b""

    def __init__(
        self, path: Path, columns: Columns, make_entry: MakeEntry, chunk_rows: int
    ) -> None:
        with plain_problems("the input"):
            self._file = path.open("rb")
            self.length = path.stat().st_size
        self._columns = columns
        self._make_entry = make_entry
        self._chunk_rows = chunk_rows
        # What is kept must not be lost to a result; the first object alone is looked at before.
        is_all_kept = columns.keep is None
        self._reserved = {*columns.results.values()} - {columns.value} if is_all_kept else set()
        self.position = 0
        try:
            self._check_first()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _check_first(self) -> None:
        first = next(self._lines(1), None)
        if first is None:
            raise InputError("the input is empty")
        members = _parse(first)
        if members is not None:
            options = {
                "--uuid-column": self._columns.user_uuid,
                "--value-column": self._columns.value,
                "--context-column": self._columns.context_column,
                "--key-column": self._columns.key,
            }
            for option, name in options.items():
                if name is not None and name not in members:
                    raise InputError(f"row 1 has no member of the name that {option} gives")
            self._columns.kept_of(list(members))
        self._file.seek(0)
        self.position = 0

    def chunks(self, skip: int) -> Iterator[Chunk]:
        """The rows in chunks.

        Args:
            skip: rows at the beginning that are done.

        Raises:
            InputError: fewer rows than `skip`.
        """
        if sum(1 for _ in self._lines(skip)) < skip:
            raise InputError("the input has fewer rows than are done")
        number = skip + 1
        while True:
            rows: list[dict[str, Any] | None] = []
            size_bytes = 0
            for line in self._lines(self._chunk_rows):
                rows.append(_parse(line))
                size_bytes += len(line)
                if size_bytes >= CHUNK_BYTES:
                    break
            if not rows:
                return
            yield Chunk(number, rows, [self._entry(row) for row in rows], self._keys(rows))
            number += len(rows)

    def _lines(self, most: int) -> Iterator[bytes]:
        """The next lines that are not blank; of one that is too long, its beginning."""
        while most:
            line = self._file.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            if not self.position:
                line = line.removeprefix(_BOM)
            self.position += len(line)
            rest = line
            while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
                rest = self._file.readline(MAX_LINE_BYTES + 1)
                self.position += len(rest)
            if line.strip():
                most -= 1
                yield line

    def _entry(self, members: Mapping[str, Any] | None) -> Entry | str:
        if members is None or not self._reserved.isdisjoint(members):
            return MALFORMED_ROW
        context = self._columns.context
        if self._columns.context_column is not None:
            text = members.get(self._columns.context_column)
            if not isinstance(text, str):
                return INVALID_REQUEST
            context = text.encode(errors="surrogatepass")
        return self._make_entry(
            members.get(self._columns.user_uuid), members.get(self._columns.value), context
        )

    def _keys(self, rows: list[dict[str, Any] | None]) -> Sequence[object]:
        name = self._columns.key
        if name is None:
            return ()
        keys = [None if members is None else members.get(name) for members in rows]
        return [key if isinstance(key, str | int) else "" for key in keys]

    def encode(self, rows: list[dict[str, Any]], outcomes: Sequence[Outcome]) -> bytes:
        """The output's lines of those that succeeded."""
        return "".join(
            [
                self._encode_one(row, outcome)
                for row, outcome in zip(rows, outcomes, strict=True)
                if isinstance(outcome, tuple)
            ]
        ).encode()

    def _encode_one(self, members: dict[str, Any], outcome: tuple[object, ...]) -> str:
        if self._columns.keep is None:
            kept = {name: cell for name, cell in members.items() if name != self._columns.value}
        else:
            kept = {name: members[name] for name in self._columns.keep if name in members}
        kept.update(zip(self._columns.results.values(), outcome, strict=True))
        # In ASCII: a lone surrogate, which JSON can spell and UTF-8 can't, passes through.
        return json.dumps(kept, separators=(",", ":")) + "\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    if len(line) > MAX_LINE_BYTES:
        return None
    try:
        return decode_json_object(line.strip())
    except InvalidRequestError:
        return None
