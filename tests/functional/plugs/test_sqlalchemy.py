"""Sealed attributes of SQLAlchemy classes: what is written, read, moved and refused."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import ForeignKey, create_engine, insert, select, text, update
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, defer, mapped_column, relationship

from producer_client import InvalidRequestError, ServiceUnavailableError, UndecryptableError
from producer_client.integrations.cells import Cell, PlaintextRefusedError
from producer_client.integrations.sqlalchemy import BYTES, JSON, Sealed

ADDRESS = "1 Mill Lane"
ANN, BOB = UUID(int=1), UUID(int=2)


class Base(DeclarativeBase):
    pass


class Owner(Base):
    __tablename__ = "owners"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    address = Sealed[str](user="id")


class HasRemark:
    remark = Sealed[str](user="owner_id")


class Note(HasRemark, Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"))
    owner: Mapped[Owner] = relationship()
    text = Sealed[str](user="owner_id")
    key = Sealed[bytes](user="owner_id", holds=BYTES)
    tags = Sealed[list[str]](user="owner_id", holds=JSON)
    old = Sealed[str](user="owner_id", context="old.name")


@pytest.fixture
def session(caas: Any) -> Iterator[Session]:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as opened:
        opened.add_all([Owner(id=ANN), Owner(id=BOB)])
        opened.commit()
        yield opened
    engine.dispose()


def put(session: Session, note: Note, column: str, token: Any) -> None:
    """Write to the database past the mapper."""
    session.execute(
        text(f"UPDATE notes SET {column} = :t WHERE id = :i"), {"t": token, "i": note.id}
    )
    session.commit()


def raw(session: Session, note: Note, column: str = "text") -> Any:
    """What the database holds."""
    query = text(f"SELECT {column} FROM notes WHERE id = :i")
    return session.execute(query, {"i": note.id}).scalar()


def new_note(session: Session, owner: UUID = ANN, **fields: Any) -> Note:
    note = Note(owner_id=owner, **{"text": ADDRESS, **fields})
    session.add(note)
    session.commit()
    return note


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", ADDRESS),
        ("text", ""),
        ("text", "Łąka 5/7, 北京\x00"),
        ("key", b"\x00\xff"),
        ("tags", ["a", "ü"]),
        ("remark", "of the mixin"),
        ("old", "under an old name"),
    ],
)
def test_a_value_comes_back_as_it_was(session: Session, field: str, value: Any) -> None:
    """Text, bytes and JSON are read as they were written, from a mixin too."""
    note = new_note(session, **{field: value})
    assert getattr(note, field) == value


def test_the_database_holds_a_token(session: Session) -> None:
    """Nothing of the plaintext is in the row."""
    stored = raw(session, new_note(session))
    assert (stored.startswith("caas1."), ADDRESS in stored) == (True, False)


def test_none_stays_null(session: Session) -> None:
    """No value is no value, and can be searched for."""
    new_note(session)
    without = new_note(session, text=None)
    assert session.scalars(select(Note).where(Note.text.is_(None))).all() == [without]


def test_a_key_that_is_made_at_the_flush_is_known_in_time(session: Session) -> None:
    """The value of a row whose UUID is a column's default is bound to that UUID."""
    owner = Owner(address=ADDRESS)
    session.add(owner)
    session.commit()
    assert owner.address == ADDRESS


def test_a_user_that_comes_by_a_relationship_is_known_in_time(session: Session) -> None:
    """The foreign key is set within the flush, before the value is sealed."""
    note = Note(owner=Owner(address="hers"), text=ADDRESS)
    session.add(note)
    session.commit()
    assert (note.text, note.owner.address) == (ADDRESS, "hers")


def test_a_row_without_a_user_is_refused(session: Session) -> None:
    """There is nobody to bind the value to."""
    session.add(Note(text=ADDRESS))
    with pytest.raises(InvalidRequestError, match="must be a UUID"):
        session.flush()


def test_a_plaintext_in_an_insert_is_refused(session: Session) -> None:
    """Statements that pass the mapper by write no plaintext."""
    with pytest.raises(StatementError) as refused:
        session.execute(insert(Note), [{"owner_id": ANN, "_sealed_text": ADDRESS}])
    assert isinstance(refused.value.orig, PlaintextRefusedError)


def test_a_plaintext_in_an_update_is_refused(session: Session) -> None:
    """The same of a bulk update."""
    with pytest.raises(StatementError) as refused:
        session.execute(update(Note).values({Note.text: ADDRESS}))
    assert isinstance(refused.value.orig, PlaintextRefusedError)


def test_a_search_for_a_plaintext_is_refused(session: Session) -> None:
    """It could only find nothing."""
    with pytest.raises(StatementError) as refused:
        session.scalars(select(Note).where(Note.text == ADDRESS)).all()
    assert isinstance(refused.value.orig, PlaintextRefusedError)


def test_a_token_moved_to_another_users_row_does_not_open(session: Session) -> None:
    """A value is bound to its row's user."""
    anns, bobs = new_note(session, ANN), new_note(session, BOB)
    put(session, bobs, "text", raw(session, anns))
    with pytest.raises(UndecryptableError):
        _ = bobs.text


def test_a_token_moved_to_another_column_does_not_open(session: Session) -> None:
    """A value is bound to its column."""
    note = new_note(session)
    put(session, note, "remark", raw(session, note))
    with pytest.raises(UndecryptableError):
        _ = note.remark


@pytest.mark.parametrize("token", ["", "plain", "caas1.", "caas1.AAAA"])
def test_what_is_no_token_does_not_open(session: Session, token: str) -> None:
    """A row that was tampered with raises a typed error."""
    note = new_note(session)
    put(session, note, "text", token)
    with pytest.raises((UndecryptableError, InvalidRequestError)):
        _ = note.text


def test_rows_of_one_query_are_opened_in_one_call(session: Session, caas: Any) -> None:
    """The first value that is read opens those of the query's other rows."""
    for _ in range(5):
        new_note(session)
    notes = session.scalars(select(Note)).all()
    caas.calls.clear()
    assert ([note.text for note in notes], caas.calls) == ([ADDRESS] * 5, ["open_many"])


def test_rows_of_one_flush_are_sealed_in_one_call(session: Session, caas: Any) -> None:
    """A unit of work costs one message for a column."""
    caas.calls.clear()
    session.add_all([Note(owner_id=ANN, text=str(number)) for number in range(5)])
    session.commit()
    assert caas.calls == ["seal_many"]


def test_a_row_that_is_flushed_unchanged_costs_no_call(session: Session, caas: Any) -> None:
    """Another attribute's change leaves the token."""
    note = new_note(session, key=b"k")
    before = raw(session, note)
    note.key = b"another"
    caas.calls.clear()
    session.commit()
    assert (caas.calls, raw(session, note)) == (["seal"], before)


def test_a_changed_value_is_sealed_again(session: Session) -> None:
    """The new plaintext comes back."""
    note = new_note(session)
    note.text = "2 Mill Lane"
    session.commit()
    assert note.text == "2 Mill Lane"


@pytest.mark.parametrize("is_read_first", [True, False])
def test_a_row_that_is_given_to_another_user_is_sealed_for_that_user(
    session: Session, is_read_first: bool
) -> None:
    """The value moves with its row, read before or not."""
    note = new_note(session)
    session.refresh(note)
    if is_read_first:
        _ = note.text
    note.owner_id = BOB
    session.commit()
    assert note.text == ADDRESS


def test_a_deferred_value_is_loaded_when_it_is_read(session: Session) -> None:
    """Loader options name the attribute."""
    new_note(session)
    session.expunge_all()
    note = session.scalars(select(Note).options(defer(Note.text))).one()
    assert note.text == ADDRESS


def test_a_rolled_back_value_is_the_databases_again(session: Session) -> None:
    """A change that was not committed is gone."""
    note = new_note(session)
    note.text = "never"
    session.rollback()
    assert note.text == ADDRESS


@pytest.mark.parametrize(
    ("field", "value"), [("text", b"bytes"), ("key", "text"), ("tags", {1j}), ("text", "\ud800")]
)
def test_a_value_of_another_type_is_refused(session: Session, field: str, value: Any) -> None:
    """The error names the column's kind and repeats no value."""
    with pytest.raises(InvalidRequestError, match=r"^A sealed \w+ column takes"):
        new_note(session, **{field: value})


def test_an_outage_is_no_missing_value(session: Session, caas: Any) -> None:
    """The error is the service's own, and the value can be read when the service is back."""

    def fail(*_: Any) -> Any:
        raise ServiceUnavailableError

    note = new_note(session)
    session.refresh(note)
    caas.stead["open"] = fail
    with pytest.raises(ServiceUnavailableError):
        _ = note.text
    caas.stead.clear()
    assert note.text == ADDRESS


def test_an_opened_row_is_pickled_sealed(session: Session) -> None:
    """What goes into a cache holds a token, as the database does, and opens again."""
    note = new_note(session)
    session.refresh(note)
    _ = note.text
    pickled = pickle.dumps(note)
    assert (ADDRESS.encode() in pickled, pickle.loads(pickled).text) == (False, ADDRESS)


def test_a_column_without_its_row_shows_nothing(session: Session) -> None:
    """A selected column is a cell, and a cell is read at a row."""
    new_note(session)
    cell = session.scalars(select(Note.text)).one()
    with pytest.raises(InvalidRequestError, match="at its row"):
        cell.read(ANN)
    assert (type(cell), repr(cell)) == (Cell, "Cell(sealed)")
