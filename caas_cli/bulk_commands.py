"""The options of `caas bulk`; what the commands do is in `caas_cli.bulk`, imported late."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from caas_cli.bulk.kinds import Format
from caas_cli.home import Home

app = typer.Typer(
    help="Do an operation on every row of a file or of a database table; see docs/migration.md.",
    no_args_is_help=True,
)

_EXAMPLES: Final = {
    "encrypt": "caas bulk encrypt users.csv protected.csv --value-column phone",
    "wrap": "caas bulk wrap --table users --key-column id --value-column md5 --to wrapped=wrapped",
    "rewrap": "caas bulk rewrap tokens.jsonl fresh.jsonl --value-column token",
    "seal": "caas bulk seal users.csv sealed.csv --value-column address --context users.address",
    "hash-password": "caas bulk hash-password users.parquet out.parquet --value-column password",
}
_HELP: Final = {
    "encrypt": "Protect values one-way: encrypted_data and key_version.",
    "wrap": "Make legacy digests safe without the data: wrapped and key_version.",
    "rewrap": "Bring tokens under the newest key version: token.",
    "seal": "Seal values so that they can be opened again: token.",
    "hash-password": "Hash passwords that are still in the clear: hash.",
}

Input = Annotated[
    Path | None,
    typer.Argument(metavar="INPUT", help="A CSV, JSON lines or Parquet file.", show_default=False),
]
Output = Annotated[
    Path | None,
    typer.Argument(metavar="OUTPUT", help="A file of the same kind; made.", show_default=False),
]
UuidColumn = Annotated[str, typer.Option(help="The column of the users' UUIDs.")]
ValueColumn = Annotated[str, typer.Option(help="The column of what is to be protected.")]
KeyColumn = Annotated[
    str | None, typer.Option(help="A column that tells rows apart, shown for rows that fail.")
]
To = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD=COLUMN", help="The column that a result field goes to; repeat."),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(help="A column the output repeats; repeat. All but the value's if none."),
]
Context = Annotated[str | None, typer.Option(help="The context of every row (seal, rewrap).")]
ContextColumn = Annotated[
    str | None, typer.Option(help="The column of the rows' contexts (seal, rewrap).")
]
Base64 = Annotated[bool, typer.Option("--base64", help="Values are base64 of bytes (seal).")]
Kind = Annotated[
    Format | None,
    typer.Option("--format", help="csv, jsonl or parquet, where the ending doesn't tell."),
]
Delimiter = Annotated[str, typer.Option(help="Between a CSV file's cells; one character or tab.")]
Table = Annotated[
    str | None, typer.Option(help="A table of the database at CAAS_DATABASE_URL, not files.")
]
OnlyNull = Annotated[str | None, typer.Option(help="Only rows where this column is NULL (tables).")]
Failures = Annotated[
    Path | None, typer.Option(help="Where rows that fail are listed; beside the output if not set.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")]
Force = Annotated[bool, typer.Option("--force", help="Start over; replace what is there.")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Read all, ask nothing, write nothing; say what would fail."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only so many rows, for a try.")]
Patience = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="Longest wait for a service that doesn't answer."),
]
CheckpointEvery = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="SECONDS", help="Between two checkpoints of a file; 1, Parquet 10."
    ),
]
ReportEvery = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="Progress as a line so often, instead of a bar."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def _command(name: str) -> Callable[..., None]:
    def command(
        source: Input = None,
        output: Output = None,
        uuid_column: UuidColumn = "user_uuid",
        value_column: ValueColumn = "value",
        key_column: KeyColumn = None,
        to: To = None,
        keep: Keep = None,
        context: Context = None,
        context_column: ContextColumn = None,
        base64: Base64 = False,
        kind: Kind = None,
        delimiter: Delimiter = ",",
        table: Table = None,
        only_null: OnlyNull = None,
        failures: Failures = None,
        resume: Resume = False,
        force: Force = False,
        dry_run: DryRun = False,
        limit: Limit = None,
        patience: Patience = 300.0,
        checkpoint_every: CheckpointEvery = None,
        report_every: ReportEvery = None,
        as_json: Json = False,
    ) -> None:
        from caas_cli.bulk.operations import OPERATIONS
        from caas_cli.bulk.request import Request
        from caas_cli.bulk.start import start

        request = Request(
            operation=OPERATIONS[name],
            user_uuid_column=uuid_column,
            value_column=value_column,
            source=source,
            output=output,
            table=table,
            key_column=key_column,
            context_column=context_column,
            context_text=context,
            to=tuple(to or ()),
            keep=tuple(keep or ()),
            only_null=only_null,
            is_base64=base64,
            delimiter=delimiter,
            kind=kind,
            failures=failures,
            resume=resume,
            force=force,
            dry_run=dry_run,
            limit=limit,
            patience_s=patience,
            checkpoint_s=checkpoint_every,
            report_s=report_every,
            as_json=as_json,
        )
        raise typer.Exit(start(request, Home.from_env()))

    command.__doc__ = _HELP[name]
    return command


for _name, _example in _EXAMPLES.items():
    app.command(_name, epilog=f"Example: {_example}")(_command(_name))
