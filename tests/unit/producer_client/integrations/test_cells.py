"""One sealed value of one row, with a client that tells what it was asked."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from caas_tasks.errors import InvalidRequestError, ServiceUnavailableError, UndecryptableError
from producer_client.integrations.cells import (
    MAX_TOGETHER,
    Batch,
    Cell,
    Column,
    PlaintextRefusedError,
    as_uuid,
    open_cells,
    seal_cells,
    token_of,
)
from producer_client.integrations.codecs import TEXT
from producer_client.integrations.shared_client import use_client

ANN = UUID(int=1)
COLUMN = Column(TEXT, b"customers.address")


class Toy:
    """A client whose token is the plaintext with a mark."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def seal(self, user: UUID, plaintext: bytes, context: bytes) -> str:
        return str(self.seal_many([(user, plaintext, context)])[0])

    def open(self, user: UUID, token: str, context: bytes) -> bytes:
        opened = self.open_many([(user, token, context)])[0]
        if isinstance(opened, Exception):
            raise opened
        return opened

    def seal_many(self, triples: list[tuple[UUID, bytes, bytes]]) -> list[Any]:
        self.asked.append(len(triples))
        return [
            ServiceUnavailableError() if text == b"bad" else f"+{text.decode()}"
            for _, text, _ in triples
        ]

    def open_many(self, triples: list[tuple[UUID, str, bytes]]) -> list[Any]:
        self.asked.append(len(triples))
        return [
            token[1:].encode() if token[:1] == "+" else UndecryptableError()
            for _, token, _ in triples
        ]


@pytest.fixture
def toy() -> Iterator[Toy]:
    client: Any = Toy()
    with use_client(client):
        yield client


def loaded(batch: Batch, token: str = "+text") -> Cell:
    cell = Cell(None, token=token)
    cell.adopt(COLUMN, ANN, batch)
    return cell


def test_a_batch_is_opened_in_messages_of_bounded_size(toy: Toy) -> None:
    """More rows than fit in a message need more messages, as they are read."""
    batch = Batch()
    cells = [loaded(batch) for _ in range(MAX_TOGETHER + 1)]
    assert [cell.read(ANN) for cell in cells] == ["text"] * len(cells)
    assert toy.asked == [MAX_TOGETHER, 1]


def test_a_cell_that_was_dropped_is_not_opened(toy: Toy) -> None:
    """A batch keeps no row alive, however many a query has."""
    batch = Batch()
    kept, dropped = loaded(batch), loaded(batch)
    del dropped
    gc.collect()
    kept.read(ANN)
    assert toy.asked == [1]


def test_a_cell_whose_user_was_not_loaded_is_not_opened_with_others(toy: Toy) -> None:
    """It waits until it is read at its row."""
    batch = Batch()
    first, second = loaded(batch), loaded(batch)
    second.user = None
    first.read(ANN)
    assert (second.read(ANN), toy.asked) == ("text", [1, 1])


def test_the_error_of_the_value_that_is_read_is_raised(toy: Toy) -> None:
    """Others of its batch are opened all the same."""
    batch = Batch()
    bad, good = loaded(batch, "bad"), loaded(batch)
    with pytest.raises(UndecryptableError):
        bad.read(ANN)
    assert (good.read(ANN), toy.asked) == ("text", [2])


def test_another_values_bytes_that_are_no_text_fail_alone(toy: Toy) -> None:
    """What was opened and can't be decoded is that cell's error."""
    batch = Batch()
    good, bad = loaded(batch), loaded(batch)
    toy.open_many = lambda triples: [b"text", b"\xff"][: len(triples)]  # type: ignore[method-assign]
    assert (good.read(ANN), bad.is_unread) == ("text", True)


def test_the_first_error_of_many_is_raised_and_the_others_are_sealed(toy: Toy) -> None:
    """Trying again seals only what is missing."""
    cells = [Cell(COLUMN, value=value) for value in ("one", "bad", "two")]
    with pytest.raises(ServiceUnavailableError):
        seal_cells([(cell, ANN) for cell in cells])
    assert [cell.token for cell in cells] == ["+one", None, "+two"]


def test_nothing_to_seal_asks_nothing(toy: Toy) -> None:
    """A sealed value keeps its token."""
    cell = Cell(COLUMN, value="one")
    seal_cells([(cell, ANN)])
    seal_cells([(cell, ANN)])
    assert toy.asked == [1]


@pytest.mark.parametrize("token", [None, "+old"])
def test_an_unsaved_change_is_not_pickled(toy: Toy, token: str | None) -> None:
    """There is no token to pickle in its place, and the error repeats nothing of it."""
    with pytest.raises(PlaintextRefusedError) as refused:
        pickle.dumps(Cell(COLUMN, value="new", token=token))
    assert "new" not in str(refused.value)


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_an_unsaved_change_is_copied(toy: Toy, make: Callable[[Cell], Cell]) -> None:
    """A copy within the process holds the value, and a copy of what is unread stays unread."""
    assert make(Cell(COLUMN, value="new")).read(ANN) == "new"
    unread = make(Cell(COLUMN, token="+old"))
    assert (unread.is_unread, unread.token) == (True, "+old")


def test_a_cell_without_a_user_or_a_token_is_not_opened(toy: Toy) -> None:
    """There is nothing to ask for."""
    with pytest.raises(InvalidRequestError):
        open_cells([Cell(COLUMN, value="new")])


def test_a_cell_is_adopted_once(toy: Toy) -> None:
    """Where it comes from does not change."""
    cell = loaded(Batch())
    cell.adopt(Column(TEXT, b"elsewhere"), UUID(int=2), None)
    assert (cell.column, cell.user) == (COLUMN, ANN)


@pytest.mark.parametrize("value", ["plain", b"plain", 7, Cell(COLUMN, value="plain")])
def test_what_has_no_token_enters_no_query(value: object) -> None:
    """The error repeats nothing of it."""
    with pytest.raises(PlaintextRefusedError) as refused:
        token_of(value)
    assert "plain'" not in str(refused.value)


@pytest.mark.parametrize("value", [None, 7, "", "no UUID", b"0" * 16])
def test_a_user_must_be_a_uuid(value: object) -> None:
    """The error repeats nothing of what was there instead."""
    with pytest.raises(InvalidRequestError) as refused:
        as_uuid(value)
    assert refused.value.__context__ is None


def test_a_uuid_may_be_text() -> None:
    """As in tables whose column is a text."""
    assert as_uuid(str(ANN)) == ANN
