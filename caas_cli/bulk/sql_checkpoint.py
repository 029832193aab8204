"""How far a run over a table is, kept in the same database and changed in the same transactions.

A chunk's results and the checkpoint behind it become true together or not at all, so a run that is
killed goes on where the database says. Two runs of one kind at once refuse each other.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from caas_cli.bulk.sql_table import Key, database_problems
from caas_cli.exit_codes import CommandError, ExitCode

TABLE: Final = "caas_bulk_checkpoints"


@dataclass(frozen=True, slots=True)
class Mark:
    """What is sure.

    Attributes:
        after: the key of the last row that is done, or None.
        rows: rows that are done, those that failed included.
        failed: those that failed.
        failures: bytes of the file of failures.
        done: there were no more rows.
    """

    after: Key | None = None
    rows: int = 0
    failed: int = 0
    failures: int = 0
    done: bool = False


class SqlCheckpoint:
    """The checkpoint of one run.

    Args:
        job: which run this is: a hash of its options.
    """

    def __init__(self, engine: sa.Engine, job: str) -> None:
        self._engine = engine
        self._job = job
        self._table = sa.Table(
            TABLE,
            sa.MetaData(),
            sa.Column("job", sa.String(64), primary_key=True),
            sa.Column("after_key", sa.Text),
            sa.Column("row_count", sa.BigInteger, nullable=False),
            sa.Column("failed", sa.BigInteger, nullable=False),
            sa.Column("failures", sa.BigInteger, nullable=False),
            sa.Column("done", sa.SmallInteger, nullable=False),
        )

    def load(self) -> Mark | None:
        """The checkpoint of an earlier run, or None.

        Raises:
            CommandError: the database can't be used.
        """
        with database_problems():
            if not sa.inspect(self._engine).has_table(TABLE):
                return None
            with self._engine.connect() as connection:
                found = connection.execute(sa.select(self._table).where(self._is_ours())).first()
        if found is None:
            return None
        return Mark(
            _decode(found.after_key),
            found.row_count,
            found.failed,
            found.failures,
            bool(found.done),
        )

    def _is_ours(self) -> Any:
        return self._table.c.job == self._job

    def begin(self) -> None:
        """Begin a run, forgetting an earlier one.

        Raises:
            CommandError: the table of checkpoints can't be made or written.
        """
        with database_problems():
            self._table.create(self._engine, checkfirst=True)
            with self._engine.begin() as connection:
                connection.execute(sa.delete(self._table).where(self._is_ours()))
                connection.execute(sa.insert(self._table).values(job=self._job, **_fields(Mark())))

    def hold(self, connection: sa.Connection, mark: Mark) -> None:
        """Begin a chunk's transaction: no other run may come between.

        Args:
            mark: the checkpoint that this run has come to.

        Raises:
            CommandError: another run has moved it.
        """
        held = connection.execute(
            sa.update(self._table)
            .where(self._is_ours(), self._table.c.row_count == mark.rows)
            .values(done=0)
        )
        if held.rowcount != 1:
            raise CommandError("another run is working on this table", ExitCode.UNAVAILABLE)

    def move(self, connection: sa.Connection, mark: Mark) -> None:
        """Note a checkpoint in the transaction that the connection is in."""
        connection.execute(sa.update(self._table).where(self._is_ours()).values(**_fields(mark)))


def _fields(mark: Mark) -> dict[str, Any]:
    return {
        "after_key": _encode(mark.after),
        "row_count": mark.rows,
        "failed": mark.failed,
        "failures": mark.failures,
        "done": int(mark.done),
    }


def _encode(key: Key | None) -> str | None:
    if key is None:
        return None
    return json.dumps({"uuid": str(key)} if isinstance(key, uuid.UUID) else key)


def _decode(text: str | None) -> Key | None:
    if text is None:
        return None
    key = json.loads(text)
    return uuid.UUID(key["uuid"]) if isinstance(key, dict) else key
