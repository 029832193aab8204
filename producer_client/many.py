"""The bookkeeping of `encrypt_many`, without I/O: portions out, results in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final
from uuid import UUID

from caas_tasks.errors import (
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    ServiceError,
    UnauthorizedError,
)
from caas_tasks.names import Field
from producer_client import wire
from producer_client.flights import read_item
from producer_client.results import Encrypted

MAX_OUTSTANDING_PORTIONS: Final = 4
"""Messages of one `encrypt_many` that wait at a time."""


class Portion:
    """Some pairs that travel together; a pair that can't be sent has its error in its place.

    Attributes:
        items: what is sent.
    """

    __slots__ = ("_places", "items")

    def __init__(self) -> None:
        self.items: list[wire.WireItem] = []
        self._places: list[ServiceError | None] = []

    def add(self, pair: object) -> None:
        """Append a pair of UUID and data."""
        try:
            self.items.append(_item(pair))
        except ServiceError as error:
            self._places.append(error.with_traceback(None))
        else:
            self._places.append(None)

    def first_error(self) -> ServiceError | None:
        """The first pair's error that can't be sent, or None."""
        return next((place for place in self._places if place is not None), None)

    def __len__(self) -> int:
        return len(self._places)

    def settle(self, answers: list[wire.Answer] | ServiceError) -> list[Encrypted | ServiceError]:
        """The results of the pairs in order.

        Raises:
            UnauthorizedError, ForbiddenError: what the whole message was answered with.
        """
        if isinstance(answers, UnauthorizedError | ForbiddenError):
            raise answers
        if isinstance(answers, ServiceError):
            return [place or answers for place in self._places]
        remaining = iter(answers)
        return [place or read_result(next(remaining)) for place in self._places]


def encrypt_portions(pairs: Iterable[tuple[str | UUID, str]]) -> Iterator[Portion]:
    """Pairs in portions of bounded number and size, read as they are needed."""
    source = iter(pairs)
    while True:
        portion = Portion()
        size_bytes = 0
        for pair in islice(source, wire.CHUNK_ITEMS):
            portion.add(pair)
            if portion.items:
                size_bytes += wire.MAX_CHAR_BYTES * len(portion.items[-1][Field.SENSITIVE_DATA])
            if size_bytes >= wire.CHUNK_BYTES:
                break
        if not len(portion):
            return
        yield portion


def _item(pair: object) -> wire.WireItem:
    if not isinstance(pair, tuple | list) or len(pair) != 2:  # noqa: PLR2004 - a pair
        raise InvalidRequestError("An element is not a pair of UUID and data.")
    return wire.encrypt_item(pair[0], pair[1])


def read_result(answer: wire.Answer) -> Encrypted | ServiceError:
    """One item's result, or the error in its place."""
    read = read_item(answer)
    if isinstance(read, ServiceError):
        return read
    try:
        return wire.read_encrypted(read)
    except InternalError as error:
        return error.with_traceback(None)
