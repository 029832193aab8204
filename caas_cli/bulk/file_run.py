"""A whole run over a file: begin or go on, ask about every row, finish.

The output is written under another name (`.part`) and gets its own when it is whole. About once a
second the output, the file of failures and then the journal are flushed to the disk, in that order:
what the journal says is there. Going on, both files are cut back to what it says, and as many rows
of the input are passed over: so no row is done twice and none is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from caas_cli.bulk import pipeline
from caas_cli.bulk.chunks import Chunk, InputError, Outcome, Settled
from caas_cli.bulk.failures import FailureFile
from caas_cli.bulk.formats import Output, Rows, open_output
from caas_cli.bulk.journal import Checkpoint, Journal
from caas_cli.bulk.kinds import Format
from caas_cli.bulk.limited import limited
from caas_cli.bulk.places import Places
from caas_cli.bulk.private_files import plain_problems, sync_folder
from caas_cli.bulk.progress import Progress
from caas_cli.bulk.report import Report
from caas_cli.exit_codes import CommandError, UsageError


@dataclass(frozen=True, slots=True)
class FileRun:
    """What to do, all checked.

    Attributes:
        run: which run this is, as `journal.identity` says.
        checkpoint_s: seconds between two checkpoints.
        under_way: chunks that are asked about at a time.
        limit: most rows of the input, or None for all.
    """

    places: Places
    kind: Format
    rows: Rows
    run: dict[str, Any]
    checkpoint_s: float
    under_way: int
    limit: int | None = None


def begin(task: FileRun, *, resume: bool, force: bool) -> Journal | None:
    """The journal of a new run or of the one to go on with; None when that is finished already.

    Raises:
        UsageError: something would be overwritten.
        CommandError: the journal can't be used, or another run holds it.
    """
    places = task.places
    has_journal = places.journal.exists()
    if resume and not has_journal and places.output.exists():
        return None
    if not (force or (resume and has_journal)):
        places.check_free()
    replaces = {"replaces": force and places.output.exists()}
    starts_over = force or not has_journal
    journal = Journal(
        places.journal, {**task.run, **replaces}, is_new=not has_journal, starts_over=starts_over
    )
    try:
        if starts_over:
            places.clear()
        sync_folder(places.output.parent)
    except BaseException:
        journal.close()
        raise
    return journal


class _Work:
    """The files of a run while it goes on."""

    def __init__(self, task: FileRun, journal: Journal, progress: Progress) -> None:
        self._task = task
        self._journal = journal
        self._progress = progress
        sure = journal.last
        self.rows, self.failed = sure.rows, sure.failed
        self._is_between = True
        self._sure_at = progress.clock()
        self._failures = FailureFile(task.places.failures, sure.failures)
        self._output: Output = open_output(task.kind, task.places, task.rows, sure.output)

    def settle(self, settled: Settled) -> None:
        """Write a chunk's rows and failures, and note a checkpoint when it is time."""
        self._is_between = False
        self._output.write(self._task.rows.encode(settled.chunk.rows, settled.outcomes))
        if settled.failed:
            self._failures.add(settled.failures())
        self.rows += len(settled.outcomes)
        self.failed += len(settled.failed)
        self._is_between = True
        if self._progress.clock() - self._sure_at >= self._task.checkpoint_s:
            self.make_sure()
        self._progress.advance(self.rows, self.failed, _share(self._task, self.rows))

    def make_sure(self, *, done: bool = False) -> None:
        """Flush everything and note it; nothing when a chunk is half written."""
        if self._is_between:
            output = self._output.sync()
            self._failures.sync()
            if done:
                self._output.finish()
            sizes = (output, self._failures.size_bytes)
            self._journal.add(Checkpoint(self.rows, self.failed, *sizes, done=done))
            self._sure_at = self._progress.clock()

    def close(self) -> None:
        """Close the files."""
        self._output.close()
        self._failures.close()


def run(
    task: FileRun,
    journal: Journal,
    ask: Callable[[Chunk], list[Outcome]],
    progress: Progress,
    stop: Callable[[], None],
) -> Report:
    """Do all rows that are not done, and give the output its name.

    Args:
        journal: from `begin`.
        ask: asks the service about a chunk.
        stop: makes every `ask` end soon.

    Raises:
        CommandError: the input or an output can't be used on; what is done is kept.
        ServiceError, KeyboardInterrupt: from `ask` or a signal; what is done is kept.
    """
    if not journal.last.done:
        work = _Work(task, journal, progress)
        try:
            chunks = limited(task.rows.chunks(work.rows), task.limit)
            started = _telling(chunks, lambda: progress.start(work.rows, _share(task, work.rows)))
            try:
                pipeline.run(started, ask, work.settle, under_way=task.under_way, stop=stop)
                _check_unchanged(task)
            except BaseException:
                with suppress(CommandError):  # of a full disk: the last checkpoint counts
                    work.make_sure()
                raise
            work.make_sure(done=True)
        finally:
            work.close()
    _give_name(task, journal)
    last = journal.last
    return Report(last.rows, last.failed, task.places.failures if last.failed else None)


def _share(task: FileRun, done: int) -> float:
    """How much of the input is done, 0 to 1."""
    share = task.rows.position / task.rows.length if task.rows.length else 1.0
    return min(1.0, share if task.limit is None else max(share, done / task.limit))


def _telling(chunks: Iterable[Chunk], tell: Callable[[], None]) -> Iterator[Chunk]:
    """The chunks; the first of them is told of."""
    for number, chunk in enumerate(chunks):
        if not number:
            tell()
        yield chunk


def _check_unchanged(task: FileRun) -> None:
    with plain_problems("the input"):
        status = task.places.source.stat()
    begun = (task.run["input_bytes"], task.run["input_mtime_ns"])
    if (status.st_size, status.st_mtime_ns) != begun:
        raise InputError("the input was changed while it was read; --force starts over")


def _give_name(task: FileRun, journal: Journal) -> None:
    """The last step, which a killed run can be resumed in too."""
    places = task.places
    if places.part.exists():
        if places.output.exists() and not journal.begun.get("replaces"):
            raise UsageError("an output has come up meanwhile; move it away, then --resume")
        with plain_problems("the output"):
            places.part.replace(places.output)
        sync_folder(places.output.parent)
    with plain_problems("the output"):
        places.remove_parts()
        places.journal.unlink(missing_ok=True)
    journal.close()
