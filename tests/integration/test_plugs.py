"""A plug over a real broker and a real worker: rows sealed and opened through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from producer_client import Client
from producer_client.integrations.shared_client import use_client
from producer_client.integrations.sqlalchemy import Sealed

pytestmark = pytest.mark.integration

ROWS = 600


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    number: Mapped[int]
    address = Sealed[str](user="id")


@pytest.fixture
def session(client: Client) -> Iterator[Session]:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with use_client(client), Session(engine) as opened:
        opened.add_all([Customer(number=n, address=f"{n} Mill Lane") for n in range(ROWS)])
        opened.commit()
        yield opened
    engine.dispose()


def test_many_rows_come_back_as_they_were(session: Session) -> None:
    """More rows than one message has are sealed and opened in their order."""
    rows = session.scalars(select(Customer).order_by(Customer.number)).all()
    assert [row.address for row in rows] == [f"{n} Mill Lane" for n in range(ROWS)]


def test_nothing_that_can_be_read_is_in_the_table(session: Session) -> None:
    """Each value is a token of its own."""
    stored = session.execute(text("SELECT address FROM customers")).scalars().all()
    assert (len(set(stored)), [value for value in stored if "Mill" in value]) == (ROWS, [])
