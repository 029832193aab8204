"""Many rows at once: seal before `bulk_create`, open before a loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from producer_client.integrations.cells import MAX_TOGETHER, open_cells, seal_cells
from producer_client.integrations.django.fields import cells_of


def seal_rows(rows: Iterable[Any]) -> None:
    """Seal what `bulk_create` is about to write, in few messages instead of one a value.

    Raises:
        ServiceError: the first error; the others are sealed.
    """
    seal_cells([(cell, field.user_of(row)) for row in rows for field, cell in cells_of(row)])


def open_rows(rows: Iterable[Any]) -> None:
    """Open the sealed values of rows that different queries loaded, in few messages.

    Rows of one query need no such help. A value that can't be opened stays as it is, and raises
    its error when it is read; only the first of a message's raises here.

    Raises:
        ServiceError: as above.
    """
    unread = []
    for row in rows:
        for field, cell in cells_of(row):
            if cell.is_unread:
                cell.user = cell.user or field.user_of(row)
                unread.append(cell)
    for start in range(0, len(unread), MAX_TOGETHER):
        open_cells(unread[start : start + MAX_TOGETHER])
