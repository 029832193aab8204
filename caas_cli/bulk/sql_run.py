"""A whole run over a table: one transaction a chunk, with its results and the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from caas_cli.bulk import pipeline
from caas_cli.bulk.chunks import Chunk, Outcome, Settled
from caas_cli.bulk.failures import FailureFile
from caas_cli.bulk.limited import limited
from caas_cli.bulk.progress import Progress
from caas_cli.bulk.report import Report
from caas_cli.bulk.sql_checkpoint import Mark, SqlCheckpoint
from caas_cli.bulk.sql_table import SqlTable, database_problems
from caas_cli.exit_codes import UsageError


@dataclass(frozen=True, slots=True)
class SqlRun:
    """What to do, all checked.

    Attributes:
        failures: where rows that fail are listed.
        under_way: chunks that are asked about at a time.
        limit: most rows of this run, or None for all.
    """

    engine: sa.Engine
    table: SqlTable
    checkpoint: SqlCheckpoint
    failures: Path
    under_way: int
    limit: int | None = None


def begin(task: SqlRun, *, resume: bool, force: bool) -> Mark:
    """The checkpoint to go on from.

    Raises:
        UsageError: an earlier run is not finished, or is, and nothing was said of it.
        CommandError: the database can't be used.
    """
    mark = task.checkpoint.load()
    if mark is not None and not force:
        if not resume:
            state = "done already" if mark.done else "not finished"
            raise UsageError(f"this run is {state}; --resume goes on, --force starts over")
        return mark
    if task.failures.exists() and not force:
        raise UsageError("the file of failures is there already; see --failures and --force")
    task.failures.unlink(missing_ok=True)
    task.checkpoint.begin()
    return Mark()


class _Work:
    """A run while it goes on."""

    def __init__(self, task: SqlRun, mark: Mark, progress: Progress) -> None:
        self._task = task
        self._progress = progress
        self._mark = mark
        self._before = mark.rows
        self._total = max(1, min(task.table.count(mark.after), task.limit or 2**63))
        self._failures = FailureFile(task.failures, mark.failures)

    @property
    def mark(self) -> Mark:
        """The last checkpoint."""
        return self._mark

    def settle(self, settled: Settled) -> None:
        """Commit a chunk."""
        task, mark = self._task, self._mark
        with database_problems(), task.engine.begin() as connection:
            task.checkpoint.hold(connection, mark)
            stored = task.table.store(connection, settled)
            if stored.failed:
                self._failures.add(stored.failures())
                self._failures.sync()
            after = Mark(
                stored.chunk.rows[-1][0],
                mark.rows + len(stored.outcomes),
                mark.failed + len(stored.failed),
                self._failures.size_bytes,
            )
            task.checkpoint.move(connection, after)
        self._mark = after
        self._progress.advance(after.rows, after.failed, self.share)

    def finish(self) -> None:
        """Note that no row is left."""
        task, mark = self._task, self._mark
        whole = Mark(mark.after, mark.rows, mark.failed, mark.failures, done=True)
        with database_problems(), task.engine.begin() as connection:
            task.checkpoint.hold(connection, mark)
            task.checkpoint.move(connection, whole)
        self._mark = whole

    @property
    def share(self) -> float:
        """How much of what there was at the start is done, 0 to 1."""
        return min(1.0, (self._mark.rows - self._before) / self._total)

    def close(self) -> None:
        """Close the file of failures."""
        self._failures.close()


def run(
    task: SqlRun,
    mark: Mark,
    ask: Callable[[Chunk], list[Outcome]],
    progress: Progress,
    stop: Callable[[], None],
) -> Report:
    """Do all rows that are not done.

    Args:
        mark: from `begin`.
        ask: asks the service about a chunk.
        stop: makes every `ask` end soon.

    Raises:
        CommandError: the database or the file of failures can't be used on; what is done is kept.
        ServiceError, KeyboardInterrupt: from `ask` or a signal; what is done is kept.
    """
    work = _Work(task, mark, progress)
    try:
        progress.start(mark.rows, 0.0)
        limit = None if task.limit is None else mark.rows + task.limit
        chunks: Iterator[Chunk] = limited(task.table.chunks(mark.after, mark.rows), limit)
        pipeline.run(chunks, ask, work.settle, under_way=task.under_way, stop=stop)
        if task.limit is None or work.mark.rows - mark.rows < task.limit:
            work.finish()
    finally:
        work.close()
    last = work.mark
    return Report(last.rows, last.failed, task.failures if last.failed else None)
