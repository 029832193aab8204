"""From the options to a run, and from whatever ends it to one line and an exit code."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from caas_cli import client_env, requests
from caas_cli.bulk import file_run
from caas_cli.bulk.asking import Asking
from caas_cli.bulk.dry_run import dry_run
from caas_cli.bulk.formats import (
    LINES_CHECKPOINT_S,
    PARTS_CHECKPOINT_S,
    format_of,
    open_rows,
)
from caas_cli.bulk.journal import identity
from caas_cli.bulk.kinds import Format
from caas_cli.bulk.limited import limited
from caas_cli.bulk.places import Places
from caas_cli.bulk.progress import progress
from caas_cli.bulk.report import Report
from caas_cli.bulk.request import Request
from caas_cli.exit_codes import CommandError, ExitCode, exit_code_of
from caas_cli.home import Home
from caas_tasks.errors import ServiceError

COLLECT_EVERY: Final = 200_000
"""Objects between two looks for cycles: rows have none, and the usual 700 cost a sixth."""

GOES_ON: Final = "what is done is kept; the same command with --resume goes on"


def start(request: Request, home: Home) -> ExitCode:
    """Do what the options ask for, and show what it came to.

    Raises:
        CommandError: it can't be done, or not to the end.
    """
    request.check()
    with _ending_in_one_line(), _few_collections():
        if request.table is not None:
            from caas_cli.bulk.sql_start import start_table

            report = start_table(request, home)
        else:
            report = _start_file(request, home)
    report.show(as_json=request.as_json)
    return ExitCode.OK if report.is_clean else ExitCode.NEGATIVE


def _start_file(request: Request, home: Home) -> Report:
    source = request.source or Path()
    kind = format_of(source, request.kind)
    columns = request.columns()
    places = None
    if request.output is not None:
        places = Places.of(source, request.output, request.failures)
        places.check()
    rows = open_rows(kind, source, columns, request.operation)
    with closing(rows):
        if request.dry_run or places is None:
            return dry_run(limited(rows.chunks(0), request.limit), request.operation)
        api_key = client_env.setting(home.client_env, client_env.API_KEY)
        parts = kind is Format.PARQUET
        task = file_run.FileRun(
            places,
            kind,
            rows,
            identity(source, request.identity(), request.operation.operation.value, api_key),
            request.checkpoint_s
            if request.checkpoint_s is not None
            else (PARTS_CHECKPOINT_S if parts else LINES_CHECKPOINT_S),
            request.operation.chunks_under_way,
            request.limit,
        )
        return _run_file(task, request, home)


def _run_file(task: file_run.FileRun, request: Request, home: Home) -> Report:
    with asking(request, home) as service:
        journal = file_run.begin(task, resume=request.resume, force=request.force)
        if journal is None:
            failures = task.places.failures
            return Report(0, 0, failures if failures.exists() else None, was_finished=True)
        with closing(journal):
            return file_run.run(task, journal, service.ask, service.progress, service.stop)


@contextmanager
def asking(request: Request, home: Home) -> Iterator[Asking]:
    """The service, asked by a client of this installation, with a progress bar beside it.

    Raises:
        ConfigurationError: a setting of the client is missing or wrong.
    """
    fields = request.results()
    with (
        requests.client(home) as client,
        closing(progress(request.report_s)) as shown,
    ):
        yield Asking(client, request.operation, fields, request.patience_s, shown)


@contextmanager
def _few_collections() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _ending_in_one_line() -> Iterator[None]:
    """SIGTERM is as good as Ctrl-C; both, and a service that stays away, say how to go on.

    Raises:
        CommandError: in place of what ended the run.
    """
    problem, code = "", ExitCode.TEMPORARY
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        problem = "stopped"
    except ServiceError as error:
        problem, code = error.message.rstrip("."), exit_code_of(error)
    except CommandError as error:
        if error.exit_code != ExitCode.TEMPORARY:  # of a full disk, which room can be made on
            raise
        problem = str(error)
    finally:
        signal.signal(signal.SIGTERM, before)
    if problem:
        raise CommandError(f"{problem}; {GOES_ON}", code)
