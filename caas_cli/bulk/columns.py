"""Which column of the input is what, and which columns the output has.

No message names a column of the input: where a header is missing, the first row is data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caas_cli.bulk.chunks import InputError
from caas_cli.exit_codes import UsageError


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a run reads and writes.

    Attributes:
        user_uuid: the column of the users' UUIDs.
        value: the column of what is to be protected.
        results: result fields and the names of the columns they are written to.
        key: a column whose cells may stand in the file of failures.
        context_column: the column of the contexts.
        context: the context of every row, where there is no such column.
        keep: the columns that an output file repeats; None for all but the value's.
        is_base64: the value's cells are base64 of bytes (`seal` alone).
        delimiter: what stands between two cells of a CSV file.
    """

    user_uuid: str
    value: str
    results: Mapping[str, str]
    key: str | None = None
    context_column: str | None = None
    context: bytes = b""
    keep: tuple[str, ...] | None = None
    is_base64: bool = False
    delimiter: str = ","

    def kept_of(self, names: Sequence[str]) -> list[str]:
        """The columns that the output repeats, of all the input's.

        Raises:
            UsageError: the output would have two columns of one name.
        """
        kept = [name for name in names if name != self.value] if self.keep is None else [*self.keep]
        everything = [*kept, *self.results.values()]
        if len(set(everything)) < len(everything):
            raise UsageError(
                "the output would have two columns of one name; choose with --keep, name with --to"
            )
        return kept


def place_of(names: Sequence[str], name: str, option: str) -> int:
    """The place of a column.

    Raises:
        InputError: the input has no such column.
    """
    if name not in names:
        raise InputError(f"the input has no column of the name that {option} gives")
    return list(names).index(name)


def refuse_duplicates(names: Sequence[str]) -> None:
    """Refuse a header in which one name stands twice.

    Raises:
        InputError: it does; says where.
    """
    seen: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if name in seen:
            raise InputError(f"columns {seen[name]} and {number} of the header have the same name")
        seen[name] = number
