"""One sealed value of one row: opened when it is first read, sealed when it is written.

A token is bound to the row's user and to its column (docs/spec.md, section 5): moved to another row
or column, it does not open. A value that was not changed keeps its token, so that saving a row
costs no call. Values that one query loaded are opened together, in one message, at the first read.
"""

from __future__ import annotations

import copy
import weakref
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from caas_tasks.errors import CaasError, InvalidRequestError, ServiceError
from producer_client.integrations.codecs import Codec
from producer_client.integrations.shared_client import get_client

MAX_TOGETHER: Final = 500
"""Values that one read opens at most: one message of the client."""

_UNREAD: Final = object()


class PlaintextRefusedError(CaasError, TypeError):
    """A plaintext was about to enter a query, or a pickle: first save its row, which seals it."""


@dataclass(frozen=True, slots=True)
class Column:
    """What the cells of a column share.

    Attributes:
        context: what tokens are bound to beside the user, by default `table.column`.
    """

    codec: Codec
    context: bytes


class Cell:
    """A value of a sealed column. Its `repr` shows nothing, and it is pickled sealed or not at all.

    Attributes:
        token: what the database holds; None until the value is sealed.
        user: whom the token is bound to; None where the row's user was not loaded.
    """

    __slots__ = ("__weakref__", "_batch", "_column", "_sealed", "_value", "token", "user")

    def __init__(
        self,
        column: Column | None,
        *,
        value: Any = _UNREAD,
        token: str | None = None,
    ) -> None:
        self._column = column
        self._value = value
        self._sealed: bytes | None = None  # the plaintext that `token` holds, once known
        self._batch: Batch | None = None
        self.token = token
        self.user: UUID | None = None

    def __repr__(self) -> str:
        return "Cell(sealed)"

    def __reduce__(self) -> tuple[Any, ...]:
        # A cache or a session store that pickles rows must not get what the database doesn't hold.
        if self._is_changed():
            raise PlaintextRefusedError("Save the row before pickling a changed sealed value.")
        return (Cell, (self._column,), (None, {"token": self.token, "user": self.user}))

    def __copy__(self) -> Cell:
        return self.replaced_by(self._value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Cell:
        value = _UNREAD if self.is_unread else copy.deepcopy(self._value, memo)
        return self.replaced_by(value)

    def adopt(self, column: Column, user: UUID | None, batch: Batch | None) -> None:
        """Learn where it was loaded from, unless that is known.

        Args:
            user: the row's user as it was loaded.
            batch: the cells that the same query loaded.
        """
        if self._column is not None:
            return
        self._column, self.user, self._batch = column, user, batch
        if batch is not None:
            batch.add(self)

    @property
    def column(self) -> Column:
        """The column that the cell belongs to.

        Raises:
            InvalidRequestError: it was selected without its row.
        """
        if self._column is None:
            raise InvalidRequestError("A sealed value is read at its row.")
        return self._column

    @property
    def is_unread(self) -> bool:
        """Whether only the token is known."""
        return self._value is _UNREAD

    def replaced_by(self, value: Any) -> Cell:
        """A cell with another value, that keeps this token if it turns out to be the same."""
        cell = Cell(self._column, value=value, token=self.token)
        cell.user, cell._sealed = self.user, self._sealed
        return cell

    def read(self, user: object) -> Any:
        """The plaintext, opened if need be.

        Args:
            user: the row's user, taken when the token's own is not known.

        Raises:
            UndecryptableError: the token is another row's, column's or tenant's, or was changed.
            ServiceError: another of its subclasses.
        """
        if self._value is _UNREAD:
            if self.user is None:
                self.user = as_uuid(user)
            if self._batch is None:
                open_cells([self])
            else:
                self._batch.open(self)
        return self._value

    def request(self, user: object) -> tuple[UUID, bytes, bytes] | None:
        """What is to be sealed: user, plaintext, context; None when the token still holds.

        A row that was given to another user is opened under the one before.
        """
        owner = as_uuid(user)
        if self._value is _UNREAD:
            if self.user is None or self.user == owner:
                return None
            self.read(self.user)
        plaintext = self.column.codec.encode(self._value)
        if self.token is not None and self.user == owner and plaintext == self._sealed:
            return None
        return owner, plaintext, self.column.context

    def sealed_as(self, token: str, user: UUID, plaintext: bytes) -> None:
        """Note the token of a plaintext."""
        self.token, self.user, self._sealed = token, user, plaintext

    def opening(self) -> tuple[UUID, str, bytes]:
        """What is to be opened: user, token, context.

        Raises:
            InvalidRequestError: there is no user, or nothing sealed.
        """
        if self.user is None or self.token is None:
            raise InvalidRequestError("The row of a sealed value has no user.")
        return self.user, self.token, self.column.context

    def opened(self, plaintext: bytes) -> None:
        """Note what the token holds."""
        value = self.column.codec.decode(plaintext)
        self._value, self._sealed = value, plaintext

    def _is_changed(self) -> bool:
        if self._value is _UNREAD:
            return False
        return self.token is None or self.column.codec.encode(self._value) != self._sealed


class Batch:
    """Cells that one query loaded. It keeps none of them alive."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[weakref.ref[Cell]] = deque()

    def add(self, cell: Cell) -> None:
        """A cell that was loaded."""
        self._waiting.append(weakref.ref(cell))

    def open(self, cell: Cell) -> None:
        """Open a cell, and with it others that wait; an error of another stays with that other.

        Raises:
            ServiceError: this cell's error.
        """
        together = [cell]
        while self._waiting and len(together) < MAX_TOGETHER:
            other = self._waiting.popleft()()
            if other is None or other is cell or not other.is_unread or other.user is None:
                continue
            together.append(other)
        open_cells(together)


def open_cells(cells: list[Cell]) -> None:
    """Open cells in one message; those after the first may fail, and stay unread.

    Raises:
        ServiceError: the first cell's error.
    """
    client = get_client()
    if len(cells) == 1:
        cells[0].opened(client.open(*cells[0].opening()))
        return
    outcomes = client.open_many([cell.opening() for cell in cells])
    failure: ServiceError | None = None
    for number, (cell, outcome) in enumerate(zip(cells, outcomes, strict=True)):
        error = _note(cell, outcome)
        if number == 0:
            failure = error
    if failure is not None:
        raise failure


def _note(cell: Cell, outcome: bytes | ServiceError) -> ServiceError | None:
    if isinstance(outcome, ServiceError):
        return outcome
    try:
        cell.opened(outcome)
    except ServiceError as error:
        return error.with_traceback(None)
    return None


def seal_cells(cells: Iterable[tuple[Cell, object]]) -> None:
    """Seal what has no valid token yet, in as few messages as can be.

    Args:
        cells: pairs of a cell and its row's user.

    Raises:
        ServiceError: the first error; cells without one are sealed.
    """
    due = [
        (cell, request)
        for cell, request in ((cell, cell.request(user)) for cell, user in cells)
        if request is not None
    ]
    if not due:
        return
    client = get_client()
    if len(due) == 1:
        cell, (user, plaintext, context) = due[0]
        cell.sealed_as(client.seal(user, plaintext, context), user, plaintext)
        return
    failure: ServiceError | None = None
    outcomes = client.seal_many([request for _, request in due])
    for (cell, (user, plaintext, _)), outcome in zip(due, outcomes, strict=True):
        if isinstance(outcome, ServiceError):
            failure = failure or outcome
        else:
            cell.sealed_as(outcome, user, plaintext)
    if failure is not None:
        raise failure


def token_of(value: Any) -> str | None:
    """What a query takes for a value of a sealed column.

    Raises:
        PlaintextRefusedError: it isn't a cell that has been sealed.
    """
    if value is None:
        return None
    if not isinstance(value, Cell) or value.token is None:
        raise PlaintextRefusedError(
            "A sealed column takes no plaintext in a query: set it on a row and save the row."
        )
    return value.token


def as_uuid(value: object) -> UUID:
    """A user's UUID.

    Raises:
        InvalidRequestError: it isn't one.
    """
    if isinstance(value, UUID):
        return value
    found = None
    if isinstance(value, str):
        try:
            found = UUID(value)
        except ValueError:
            pass
    if found is None:
        raise InvalidRequestError("The user of a row with sealed values must be a UUID.")
    return found
