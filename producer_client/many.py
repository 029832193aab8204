"""The bookkeeping of `encrypt_many` and its like, without I/O: portions out, results in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from caas_tasks.errors import (
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    ServiceError,
    UnauthorizedError,
)
from caas_tasks.names import Lane, Operation
from producer_client import wire
from producer_client.flights import read_item
from producer_client.results import Encrypted, Rewrapped, Wrapped

MAX_OUTSTANDING_PORTIONS: Final = 4
"""Messages of one `encrypt_many` that wait at a time."""

MAX_OUTSTANDING_PASSWORDS: Final = 32
"""The same on the password lane, where a message is one password: enough for every worker's
threads, few enough that the last is reached well before its timeout."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ManyKind(Generic[R]):
    """One operation as its many-variant does it.

    Attributes:
        make_item: from a row's columns to the item that is sent.
        columns: how many a row has.
        row: what a row is, for the error about one that is not.
        read: from an answer to the result.
    """

    operation: Operation
    make_item: Callable[..., wire.WireItem]
    columns: int
    row: str
    read: Callable[[wire.Answer], R]

    @property
    def outstanding(self) -> int:
        """Most messages that wait at a time."""
        is_password = self.operation.lane is Lane.PASSWORD
        return MAX_OUTSTANDING_PASSWORDS if is_password else MAX_OUTSTANDING_PORTIONS

    def item_of(self, row: object) -> wire.WireItem:
        """The item of one row.

        Raises:
            InvalidRequestError: not a row, or an argument has another type.
            PayloadTooLargeError: the data is over its limit.
        """
        if not isinstance(row, tuple | list) or len(row) != self.columns:
            raise InvalidRequestError(f"An element is not a {self.row}.")
        return self.make_item(*row)

    def result_of(self, answer: wire.Answer) -> R | ServiceError:
        """One item's result, or the error in its place."""
        read = read_item(answer)
        if isinstance(read, ServiceError):
            return read
        try:
            return self.read(read)
        except InternalError as error:
            return error.with_traceback(None)


ENCRYPT: Final[ManyKind[Encrypted]] = ManyKind(
    Operation.ENCRYPT, wire.encrypt_item, 2, "pair of UUID and data", wire.read_encrypted
)
WRAP: Final[ManyKind[Wrapped]] = ManyKind(
    Operation.WRAP, wire.wrap_item, 2, "pair of UUID and legacy digest", wire.read_wrapped
)
HASH_PASSWORD: Final[ManyKind[str]] = ManyKind(
    Operation.HASH_PASSWORD, wire.password_item, 2, "pair of UUID and password", wire.read_hash
)
SEAL: Final[ManyKind[str]] = ManyKind(
    Operation.SEAL, wire.seal_item, 3, "triple of UUID, plaintext and context", wire.read_token
)
OPEN: Final[ManyKind[bytes]] = ManyKind(
    Operation.OPEN, wire.token_item, 3, "triple of UUID, token and context", wire.read_plaintext
)
REWRAP: Final[ManyKind[Rewrapped]] = ManyKind(
    Operation.REWRAP, wire.token_item, 3, "triple of UUID, token and context", wire.read_rewrapped
)


class Portion(Generic[R]):
    """Some rows that travel together; a row that can't be sent has its error in its place.

    Attributes:
        items: what is sent.
    """

    __slots__ = ("_kind", "_places", "items")

    def __init__(self, kind: ManyKind[R]) -> None:
        self._kind = kind
        self.items: list[wire.WireItem] = []
        self._places: list[ServiceError | None] = []

    def add(self, row: object) -> None:
        """Append a row."""
        try:
            self.items.append(self._kind.item_of(row))
        except ServiceError as error:
            self._places.append(error.with_traceback(None))
        else:
            self._places.append(None)

    def first_error(self) -> ServiceError | None:
        """The first row's error that can't be sent, or None."""
        return next((place for place in self._places if place is not None), None)

    def __len__(self) -> int:
        return len(self._places)

    def settle(self, answers: list[wire.Answer] | ServiceError) -> list[R | ServiceError]:
        """The results of the rows in order.

        Raises:
            UnauthorizedError, ForbiddenError: what the whole message was answered with.
        """
        if isinstance(answers, UnauthorizedError | ForbiddenError):
            raise answers
        if isinstance(answers, ServiceError):
            return [place or answers for place in self._places]
        remaining = iter(answers)
        return [place or self._kind.result_of(next(remaining)) for place in self._places]


def portions_of(kind: ManyKind[R], rows: Iterable[Any]) -> Iterator[Portion[R]]:
    """Rows in portions of bounded number and size, read as they are needed."""
    source = iter(rows)
    most_items = wire.most_items(kind.operation)
    while True:
        portion = Portion(kind)
        size_bytes = 0
        for row in islice(source, most_items):
            portion.add(row)
            if portion.items:
                size_bytes += wire.item_bytes(portion.items[-1])
            if size_bytes >= wire.CHUNK_BYTES:
                break
        if not len(portion):
            return
        yield portion
