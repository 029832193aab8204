"""The options of a run, as the command line took them, and what is checked before anything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caas_cli.bulk.columns import Columns
from caas_cli.bulk.kinds import Format
from caas_cli.bulk.operations import BulkOperation
from caas_cli.exit_codes import UsageError


@dataclass(frozen=True, slots=True)
class Request:
    """A run as it was asked for.

    Attributes:
        to: `FIELD=NAME` texts.
        context_text: the context of every row.
        patience_s: longest wait for a service that answers nothing.
        checkpoint_s: seconds between two checkpoints, or None for the format's own.
        report_s: seconds between two progress lines, or None for a bar on a terminal.
    """

    operation: BulkOperation
    user_uuid_column: str
    value_column: str
    source: Path | None = None
    output: Path | None = None
    table: str | None = None
    key_column: str | None = None
    context_column: str | None = None
    context_text: str | None = None
    to: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    only_null: str | None = None
    is_base64: bool = False
    delimiter: str = ","
    kind: Format | None = None
    failures: Path | None = None
    resume: bool = False
    force: bool = False
    dry_run: bool = False
    limit: int | None = None
    patience_s: float = 300.0
    checkpoint_s: float | None = None
    report_s: float | None = None
    as_json: bool = field(default=False)

    def check(self) -> None:
        """Refuse options that don't go together.

        Raises:
            UsageError: some don't.
        """
        operation = self.operation
        if self.resume and self.force:
            raise UsageError("--resume and --force exclude each other")
        if (self.source is None) == (self.table is None):
            raise UsageError("name an input and an output file, or a table with --table")
        if self.source is not None and self.output is None and not self.dry_run:
            raise UsageError("an output file is missing")
        has_context = self.context_column is not None or self.context_text is not None
        if has_context and not operation.takes_context:
            raise UsageError("this operation takes no context")
        if self.context_column is not None and self.context_text is not None:
            raise UsageError("--context and --context-column exclude each other")
        if self.is_base64 and not operation.takes_bytes:
            raise UsageError("--base64 is for operations on bytes, not on text")
        if self.delimiter != "tab" and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise UsageError("--delimiter is one character, or the word tab")

    def results(self) -> dict[str, str]:
        """The result fields that are written, and their columns' names.

        Raises:
            UsageError: a `--to` isn't FIELD=NAME, or names a wrong field, or one twice.
        """
        known = self.operation.fields
        chosen: dict[str, str] = {}
        for text in self.to:
            name, separator, column = text.partition("=")
            if not separator or not column or name not in known or name in chosen:
                raise UsageError(f"--to is FIELD=COLUMN, each field once, of: {', '.join(known)}")
            chosen[name] = column
        return chosen or {name: name for name in self.operation.default_fields}

    def columns(self) -> Columns:
        """Which column is what.

        Raises:
            UsageError: as `results`.
        """
        return Columns(
            user_uuid=self.user_uuid_column,
            value=self.value_column,
            results=self.results(),
            key=self.key_column,
            context_column=self.context_column,
            context=(self.context_text or "").encode(),
            keep=self.keep or None,
            is_base64=self.is_base64,
            delimiter="\t" if self.delimiter == "tab" else self.delimiter,
        )

    def identity(self) -> dict[str, Any]:
        """The options that an output depends on, for `--resume` to compare."""
        c = self.columns()
        return {
            "columns": [c.user_uuid, c.value, c.key, c.context_column, c.context.hex()],
            "results": list(c.results.items()),
            "keep": c.keep,
            "only_null": self.only_null,
            "base64": c.is_base64,
            "delimiter": c.delimiter,
            "limit": self.limit if self.table is None else None,
        }
