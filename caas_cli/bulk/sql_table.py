"""A table of a SQL database: its rows in pages by key, and results into its columns.

Pages follow the key, which must be unique, so that no row is read twice however the table changes.
A row is written only if it still is what was read: an application that changed it meanwhile, such
as at a log-in, keeps its change.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from caas_cli.bulk.chunks import CHANGED_MEANWHILE, INVALID_REQUEST, Chunk, Entry, Outcome, Settled
from caas_cli.bulk.columns import Columns
from caas_cli.bulk.operations import BulkOperation
from caas_cli.exit_codes import CommandError, ExitCode, UsageError
from caas_tasks.errors import ConfigurationError

Key = int | str | uuid.UUID
_HEX: Final = re.compile("[0-9a-fA-F]{32}")


@contextmanager
def database_problems() -> Iterator[None]:
    """Turn a database's error into one line; its own text may hold rows.

    Raises:
        CommandError: in its place.
    """
    problem = ""
    try:
        yield
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        problem = type(error).__name__
    if problem:
        raise CommandError(f"the database: {problem}; its log says more", ExitCode.UNAVAILABLE)


def connect(url: str) -> sa.Engine:
    """The database of a SQLAlchemy URL; nothing is connected yet.

    Raises:
        ConfigurationError: not a URL, or of a database whose driver is not there.
    """
    try:
        # With its parameters hidden: they are rows, and logs show statements.
        return sa.create_engine(url, hide_parameters=True)
    except (sa.exc.SQLAlchemyError, ImportError, ValueError):
        pass
    raise ConfigurationError(
        "CAAS_DATABASE_URL: is not a SQLAlchemy URL, or the database's driver is not installed"
    )


class SqlTable:
    """One table with the columns of a run.

    Args:
        columns: which column is what; `key` is needed, `results` are columns of the table.
        only_null: a column that must be NULL in the rows that are taken, or None.

    Raises:
        UsageError: no such table or column, a key that isn't unique, a column of another type, or
            a run that would write over its own input and could not tell what it has done.
        CommandError: the database can't be used.
    """

    def __init__(
        self,
        engine: sa.Engine,
        name: str,
        columns: Columns,
        operation: BulkOperation,
        only_null: str | None,
    ) -> None:
        self._engine = engine
        self._columns = columns
        self._chunk_rows = operation.chunk_rows
        self._make_entry = operation.entry_maker(columns.is_base64)
        self._table = _reflect(engine, name)
        self._key = self._column(columns.key or "", "--key-column")
        self._uuid = self._column(columns.user_uuid, "--uuid-column")
        self._value = self._column(columns.value, "--value-column")
        self._context = self._maybe_column(columns.context_column, "--context-column")
        context = [] if self._context is None else [self._context]
        self._read = [self._key, self._uuid, self._value, *context]
        self._only_null = self._maybe_column(only_null, "--only-null")
        self._targets = [self._column(column, "--to") for column in columns.results.values()]
        self._check_key()
        self._check_targets(may_repeat=operation.may_repeat)
        _check_type(self._uuid, "--uuid-column", str, uuid.UUID)
        is_bytes_too = operation.takes_bytes and not columns.is_base64
        _check_type(self._value, "--value-column", str, *([bytes] if is_bytes_too else []))
        self._update = (
            sa.update(self._table)
            .where(self._key == sa.bindparam("key_of_row"))
            .values({c.name: sa.bindparam(f"field_{i}") for i, c in enumerate(self._targets)})
        )

    def _column(self, name: str, option: str) -> sa.Column[Any]:
        if name not in self._table.c:
            raise UsageError(f"the table has no column of the name that {option} gives")
        return self._table.c[name]

    def _maybe_column(self, name: str | None, option: str) -> sa.Column[Any] | None:
        return None if name is None else self._column(name, option)

    def _check_key(self) -> None:
        table, schema = self._table.name, self._table.schema
        with database_problems():
            inspector = sa.inspect(self._engine)
            groups = [
                inspector.get_pk_constraint(table, schema)["constrained_columns"],
                *(i["column_names"] for i in inspector.get_indexes(table, schema) if i["unique"]),
                *(c["column_names"] for c in inspector.get_unique_constraints(table, schema)),
            ]
        if [self._key.name] not in groups:
            raise UsageError("the key column is not unique: it needs a primary key or unique index")

    def _check_targets(self, *, may_repeat: bool) -> None:
        names = [column.name for column in self._targets]
        if len(set(names)) < len(names) or {self._key.name, self._uuid.name} & {*names}:
            raise UsageError("--to names the key's column, the UUID's, or one column twice")
        marker = None if self._only_null is None else self._only_null.name
        is_over_values = self._value.name in names and not may_repeat
        if is_over_values and marker not in {*names} - {self._value.name}:
            raise UsageError(
                "a run that writes over the values needs --only-null with another of the --to "
                "columns, or a second run would take its results for values"
            )

    def _wanted(self) -> list[Any]:
        """Which rows are taken, wherever the run is: a NULL needs no protection."""
        conditions = [self._value.is_not(None)]
        if self._only_null is not None:
            conditions.append(self._only_null.is_(None))
        return conditions

    def count(self, after: Key | None) -> int:
        """How many rows there are to do.

        Args:
            after: the key of the last row that is done.
        """
        query = sa.select(sa.func.count()).select_from(self._table).where(*self._behind(after))
        with database_problems(), self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def _behind(self, after: Key | None) -> list[Any]:
        return [*self._wanted(), *([] if after is None else [self._key > after])]

    def chunks(self, after: Key | None, done: int) -> Iterator[Chunk]:
        """The rows in the order of their keys.

        Args:
            after: the key of the last row that is done.
            done: how many rows are.

        Raises:
            UsageError: a key is neither an integer nor a text nor a UUID.
            CommandError: the database can't be used.
        """
        while True:
            query = sa.select(*self._read).where(*self._behind(after)).order_by(self._key)
            with database_problems(), self._engine.connect() as connection:
                rows = connection.execute(query.limit(self._chunk_rows)).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            if not isinstance(after, Key):
                raise UsageError("a key is an integer, a text or a UUID; this column holds others")
            kept = [tuple(row) for row in rows]
            yield Chunk(done + 1, kept, [self._entry(row) for row in rows], [r[0] for r in rows])
            done += len(rows)

    def _entry(self, row: Any) -> Entry | str:
        context: object = self._columns.context
        if self._context is not None:
            context = row[3].encode() if isinstance(row[3], str) else row[3]
        if not isinstance(context, bytes):
            return INVALID_REQUEST
        return self._make_entry(_with_dashes(row[1]), row[2], context)

    def store(self, connection: sa.Connection, settled: Settled) -> Settled:
        """Write a chunk's results, in the transaction that the connection is in.

        Returns:
            The chunk with `changed_meanwhile` for rows that are not what was read any more.

        Raises:
            UsageError: a result doesn't fit its column.
        """
        keys = [row[0] for row in settled.chunk.rows]
        still = sa.select(*self._read).where(self._key.in_(keys), *self._wanted())
        now = {row[0]: tuple(row) for row in connection.execute(still.with_for_update())}
        outcomes: list[Outcome] = []
        updates: list[dict[str, object]] = []
        for row, outcome in zip(settled.chunk.rows, settled.outcomes, strict=True):
            # The user and the context too: a result that is bound to others would never open.
            if isinstance(outcome, tuple) and now.get(row[0]) != row:
                outcomes.append(CHANGED_MEANWHILE)
                continue
            outcomes.append(outcome)
            if isinstance(outcome, tuple):
                self._check_fits(outcome)
                fields = {f"field_{i}": cell for i, cell in enumerate(outcome)}
                updates.append({"key_of_row": row[0], **fields})
        if updates:
            connection.execute(self._update, updates)
        return Settled.of(settled.chunk, outcomes)

    def _check_fits(self, fields: tuple[object, ...]) -> None:
        """Some databases cut what is too long, without a word."""
        for column, cell in zip(self._targets, fields, strict=True):
            length = getattr(column.type, "length", None)
            if isinstance(length, int) and isinstance(cell, str) and len(cell) > length:
                raise UsageError(f"a --to column holds {length} characters; {len(cell)} are needed")


def _reflect(engine: sa.Engine, name: str) -> sa.Table:
    schema, _, table = name.rpartition(".")
    is_missing = False
    with database_problems():
        try:
            return sa.Table(table, sa.MetaData(), schema=schema or None, autoload_with=engine)
        except sa.exc.NoSuchTableError:
            is_missing = True
    if is_missing:
        raise UsageError("the database has no table of the name that --table gives")
    raise CommandError("the database: no answer", ExitCode.UNAVAILABLE)


def _with_dashes(cell: object) -> object:
    """A UUID as applications see it; some databases hold it as 32 digits without dashes."""
    if isinstance(cell, str) and _HEX.fullmatch(cell):
        return str(uuid.UUID(cell))
    return cell


def _check_type(column: sa.Column[Any], option: str, *allowed: type) -> None:
    try:
        kind = column.type.python_type
    except NotImplementedError:  # of a type that the dialect doesn't know: each row tells
        return
    if kind not in allowed:
        raise UsageError(f"the column that {option} gives is not of a type that holds text")
