"""Some rows on their way from the input to the output, and the codes that a row can fail with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from caas_cli.exit_codes import UsageError

Entry = tuple[Any, ...]
"""What is asked about a row: its user's UUID, its value and, where one is taken, its context."""

Outcome = tuple[object, ...] | str
"""A row's result fields, or the code it failed with."""

MALFORMED_ROW: Final = "malformed_row"
"""Not a row of this file: the wrong number of cells, not a JSON object, too long, or an object with
a member that a result would replace."""

MISSING_VALUE: Final = "missing_value"
"""The user's UUID or the value is null or not there."""

NOT_UTF8: Final = "not_utf8"
"""A cell's bytes are not UTF-8 text."""

NUL: Final = "nul"
"""A cell of a text file holds a NUL: programs that read it would disagree about the value."""

CHANGED_MEANWHILE: Final = "changed_meanwhile"
"""The table's row was changed or removed by somebody else while the answer was on its way."""

INVALID_REQUEST: Final = "invalid_request"
PAYLOAD_TOO_LARGE: Final = "payload_too_large"


class InputError(UsageError):
    """The input can't be read on from here; says where, never what stands there."""


@dataclass(slots=True)
class Chunk:
    """Some rows in order.

    Attributes:
        first_row: the number of the first, counted from 1.
        rows: in the input's own form; only the module that read them knows it.
        entries: for each row what to ask, or the code that it fails with at once.
        keys: for each row what its key column holds; empty without a key column.
    """

    first_row: int
    rows: Any
    entries: list[Entry | str]
    keys: Sequence[object] = ()


@dataclass(slots=True)
class Settled:
    """A chunk with its outcomes.

    Attributes:
        outcomes: one a row, in order.
        failed: the places in the chunk whose outcome is a code.
    """

    chunk: Chunk
    outcomes: list[Outcome]
    failed: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, chunk: Chunk, outcomes: list[Outcome]) -> Settled:
        """Find the failures."""
        failed = [place for place, outcome in enumerate(outcomes) if type(outcome) is str]
        return cls(chunk, outcomes, failed)

    def failures(self) -> list[tuple[int, object, str]]:
        """Of each failed row its number, its key and its code."""
        keys = self.chunk.keys
        return [
            (
                self.chunk.first_row + place,
                # The cells of a malformed row may stand in the wrong columns: no key is shown.
                keys[place] if keys and self.outcomes[place] != MALFORMED_ROW else "",
                str(self.outcomes[place]),
            )
            for place in self.failed
        ]
