"""`caas healthcheck`: its arguments."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from caas_cli.output import say

app = typer.Typer()


class PartName(StrEnum):
    """What a container runs."""

    WORKER = "worker"
    GATEWAY = "gateway"
    FLOWER = "flower"


@app.command("healthcheck", epilog="Example: caas healthcheck worker")
def healthcheck_command(
    part: Annotated[PartName, typer.Argument(help="What this container runs.")],
) -> None:
    """Tell whether a part of this container is well; for containers' health checks."""
    from caas_cli import healthcheck

    say(healthcheck.check(part.value))
