"""The first rows of an input, for a try."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from caas_cli.bulk.chunks import Chunk


def limited(chunks: Iterable[Chunk], limit: int | None) -> Iterator[Chunk]:
    """The chunks up to the row of number `limit`; all of them when it is None."""
    for chunk in chunks:
        left = len(chunk.entries) if limit is None else limit - (chunk.first_row - 1)
        if left <= 0:
            return
        if left < len(chunk.entries):
            yield Chunk(chunk.first_row, chunk.rows[:left], chunk.entries[:left], chunk.keys[:left])
            return
        yield chunk
