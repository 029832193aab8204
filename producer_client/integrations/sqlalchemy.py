"""SQLAlchemy: attributes that are sealed at a flush and opened when they are read.

    class Customer(Base):
        __tablename__ = "customers"
        id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
        address = Sealed[str](user="id")

`address` is the plaintext at an instance. The column of that name holds a token, bound to the row's
user and to `table.column`, as the type `SealedToken`; at the class, `Customer.address` is that
column, for `is_(None)` and for loader options. A plaintext that was about to enter a statement
raises PlaintextRefusedError. Needs `caas[sqlalchemy]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar, overload
from uuid import UUID

from sqlalchemy import Connection, Dialect, Text, event
from sqlalchemy.orm import (
    InstrumentedAttribute,
    Mapper,
    QueryContext,
    mapped_column,
    object_mapper,
    object_session,
)
from sqlalchemy.types import TypeDecorator

from producer_client.integrations.cells import Batch, Cell, Column, as_uuid, seal_cells, token_of
from producer_client.integrations.codecs import BYTES, JSON, TEXT, Codec

__all__ = ["BYTES", "JSON", "TEXT", "Sealed", "SealedToken"]

T = TypeVar("T")
_PREFIX: Final = "_sealed_"


class SealedToken(TypeDecorator[Cell]):
    """The type of the column behind a `Sealed` attribute: a text column of tokens."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """The token; a plaintext is refused."""
        return token_of(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Cell | None:
        """A value that is opened when it is read at its row."""
        return None if value is None else Cell(None, token=value)


class Sealed(Generic[T]):
    """A sealed attribute of a declarative class.

    Args:
        user: the attribute of the same class that says whose value it is; it holds a UUID.
        holds: `TEXT`, `BYTES` or `JSON`. A JSON value is set anew to be changed: SQLAlchemy does
            not see what changes inside of it.
        context: what tokens are bound to beside the user, instead of `table.column`. Give the old
            name here when a table or column is renamed.
        nullable: whether the column takes NULL.
    """

    def __init__(
        self, *, user: str, holds: Codec = TEXT, context: str | None = None, nullable: bool = True
    ) -> None:
        self._user = user
        self._codec = holds
        self._context = context
        self._nullable = nullable
        self._key = ""
        self._columns: dict[type, Column] = {}

    def __set_name__(self, owner: type, name: str) -> None:
        # Runs before SQLAlchemy reads the class body, so the column is there when it does.
        self._key = _PREFIX + name
        setattr(owner, self._key, mapped_column(name, SealedToken, nullable=self._nullable))
        event.listen(owner, "load", self._on_load, propagate=True)
        event.listen(owner, "refresh", self._on_refresh, propagate=True)
        event.listen(owner, "before_insert", self._before_flush, propagate=True)
        event.listen(owner, "before_update", self._before_flush, propagate=True)

    @overload
    def __get__(self, instance: None, owner: type) -> InstrumentedAttribute[Any]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            return getattr(owner, self._key)
        cell = getattr(instance, self._key)
        if not isinstance(cell, Cell):
            return cell
        user = getattr(instance, self._user)
        cell.adopt(self._column_of(type(instance)), None, None)
        return cell.read(user)

    def __set__(self, instance: object, value: T | None) -> None:
        before = getattr(instance, self._key)
        after: Cell | None = None
        if value is not None:
            after = Cell(self._column_of(type(instance)), value=value)
            if isinstance(before, Cell):
                after = before.replaced_by(value)
        setattr(instance, self._key, after)

    def _column_of(self, cls: type) -> Column:
        found = self._columns.get(cls)
        if found is None:
            found = Column(self._codec, (self._context or self._name_in(cls)).encode())
            self._columns[cls] = found
        return found

    def _name_in(self, cls: type) -> str:
        column = getattr(cls, self._key).property.columns[0]
        return f"{column.table.name}.{column.name}"

    def _on_load(self, target: Any, context: QueryContext) -> None:
        cell = target.__dict__.get(self._key)
        if isinstance(cell, Cell):
            # What one query loads is opened together.
            batch = context.attributes.setdefault((Sealed, self, type(target)), Batch())
            cell.adopt(self._column_of(type(target)), self._loaded_user(target), batch)

    def _loaded_user(self, row: Any) -> UUID | None:
        user = row.__dict__.get(self._user)
        return None if user is None else as_uuid(user)

    def _on_refresh(self, target: Any, context: QueryContext, _attributes: Any) -> None:
        self._on_load(target, context)

    def _before_flush(self, _mapper: Mapper[Any], _connection: Connection, target: Any) -> None:
        """Seal this row's value, and with it those of other rows of the same flush."""
        cell = self._cell_to_seal(target)
        if cell is None:
            return
        rows = [(target, cell)]
        for other in self._others(target):
            self._make_user(other)
            # A user that comes by a relationship may not be there yet: that row's turn comes.
            found = None if getattr(other, self._user) is None else self._cell_to_seal(other)
            if found is not None:
                rows.append((other, found))
        seal_cells([(each, getattr(row, self._user)) for row, each in rows])

    def _others(self, target: Any) -> Iterator[Any]:
        session = object_session(target)
        if session is not None:
            for row in (*session.new, *session.dirty):
                if row is not target and type(row) is type(target):
                    yield row

    def _cell_to_seal(self, row: Any) -> Cell | None:
        cell = row.__dict__.get(self._key)
        if not isinstance(cell, Cell):
            return None
        cell.adopt(self._column_of(type(row)), None, None)
        self._make_user(row)
        user = getattr(row, self._user)
        if cell.user is not None and cell.token is not None and as_uuid(user) != cell.user:
            # The row was given to another user: another cell, so that the column is written.
            cell = cell.replaced_by(cell.read(cell.user))
            setattr(row, self._key, cell)
        return None if cell.request(user) is None else cell

    def _make_user(self, row: Any) -> None:
        """Take the column's default now: SQLAlchemy would take it after the value is sealed."""
        if getattr(row, self._user) is None:
            default = object_mapper(row).get_property(self._user).columns[0].default
            if default is not None and default.is_callable:
                setattr(row, self._user, default.arg(None))
