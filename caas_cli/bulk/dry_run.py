"""`--dry-run`: reads everything, asks nothing, writes nothing; says what is sure to fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from caas_cli.bulk.chunks import Chunk
from caas_cli.bulk.operations import BulkOperation
from caas_cli.bulk.report import Report


def dry_run(chunks: Iterable[Chunk], operation: BulkOperation) -> Report:
    """Look at every row.

    Raises:
        InputError: the input can't be read to its end.
    """
    rows = 0
    codes: Counter[str] = Counter()
    first: dict[str, int] = {}
    for chunk in chunks:
        for number, entry in enumerate(chunk.entries, start=chunk.first_row):
            code = operation.check(entry)
            if code:
                codes[code] += 1
                first.setdefault(code, number)
        rows += len(chunk.entries)
    would = [f"{count:,} {code}, first row {first[code]:,}" for code, count in codes.items()]
    return Report(rows, codes.total(), None, tuple(would))
