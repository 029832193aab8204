"""Options that several command groups have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ProfileName(StrEnum):
    """How `encrypt` computes."""

    HARDENED = "hardened"
    CLASSIC = "classic"


class LaneName(StrEnum):
    """What a worker serves."""

    FAST = "fast"
    PASSWORD = "password"  # noqa: S105 - a lane's name
    BULK = "bulk"


Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
UserUuid = Annotated[str, typer.Option("--user-uuid", help="The user's UUID, 8-4-4-4-12.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change; write nothing.")]
SaltPool = Annotated[
    Path | None,
    typer.Option(help="The existing service's salts, a JSON array of strings (classic)."),
]
Confirm = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The name that would have to be typed at a prompt."),
]
