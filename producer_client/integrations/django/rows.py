"""Many rows at once: seal before `bulk_create`, open before a loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from producer_client.integrations.cells import MAX_TOGETHER, Cell, open_cells, seal_cells
from producer_client.integrations.django.fields import SealedField


def seal_rows(rows: Iterable[Any]) -> None:
    """Seal what `bulk_create` is about to write, in few messages instead of one a value.

    Raises:
        ServiceError: the first error; the others are sealed.
    """
    seal_cells([(cell, field.user_of(row)) for row, field, cell in _cells(rows)])


def open_rows(rows: Iterable[Any]) -> None:
    """Open the sealed values of rows that different queries loaded, in few messages.

    Rows of one query need no such help. A value that can't be opened stays as it is, and raises
    its error when it is read; only the first of a message's raises here.

    Raises:
        ServiceError: as above.
    """
    unread = []
    for row, field, cell in _cells(rows):
        if cell.is_unread:
            cell.user = cell.user or field.user_of(row)
            unread.append(cell)
    for start in range(0, len(unread), MAX_TOGETHER):
        open_cells(unread[start : start + MAX_TOGETHER])


def _cells(rows: Iterable[Any]) -> Iterable[tuple[Any, SealedField, Cell]]:
    for row in rows:
        for field in row._meta.concrete_fields:  # noqa: SLF001 - Django's API
            cell = row.__dict__.get(field.attname)
            if isinstance(field, SealedField) and isinstance(cell, Cell):
                yield row, field, cell
