"""What commands print: text for people or JSON for scripts; problems go to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime


def say(text: str = "") -> None:
    """One paragraph or line for the person who ran the command."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """One line that must be seen and must not end up in a pipe."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def say_json(value: object) -> None:
    """One JSON document."""
    say(json.dumps(value, ensure_ascii=False, indent=2))


def say_fields(fields: Mapping[str, object]) -> None:
    """Names and values, one a line, values aligned."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        say(f"{name:<{width}}  {value}")


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table; on a terminal it fits the window, in a pipe it is as wide as it needs to be."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # As text, so that nothing in a value is taken for markup.
        table.add_row(*(Text(cell) for cell in row))
    console = Console() if sys.stdout.isatty() else Console(width=1_000)
    console.print(table)


def timestamp(unix_s: int | None) -> str | None:
    """A time as people and scripts both read it: RFC 3339 in UTC."""
    return (
        None
        if unix_s is None
        else datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    )
