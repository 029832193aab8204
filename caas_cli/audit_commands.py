"""`caas audit …`: is the audit log whole (docs/audit.md)?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caas_cli.exit_codes import ExitCode
from caas_cli.home import Home
from caas_cli.options import Json
from caas_cli.output import say, say_json

app = typer.Typer(help="Check audit logs.", no_args_is_help=True)


# Typer makes a command of the group itself where there is one command alone.
@app.callback()
def audit() -> None:
    """Check audit logs."""


@app.command("verify", epilog="Example: caas audit verify .caas/audit/*.jsonl")
def verify_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Of any processes.")],
    running: Annotated[
        bool, typer.Option("--running", help="Let files of workers that still run pass.")
    ] = False,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Let a log's first files, and its last, be missing."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check that no line was removed, changed or moved; exit 1 and name the first that is wrong.

    All files of a process's log belong together: one that is missing is a fault too.
    """
    from caas_cli.audit import verify

    verdicts = verify(Home.from_env(), files)
    if as_json:
        say_json([verdict.fields() for verdict in verdicts])
    else:
        for verdict in verdicts:
            say(verdict.in_words())
    is_well = all(verdict.is_well(is_running=running, is_partial=partial) for verdict in verdicts)
    raise typer.Exit(ExitCode.OK if is_well else ExitCode.NEGATIVE)
