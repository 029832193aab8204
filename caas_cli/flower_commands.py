"""`caas flower`: its options."""

from __future__ import annotations

from typing import Annotated

import typer

from caas_cli.home import Home

app = typer.Typer()


@app.command("flower", epilog="Example: caas flower --port 5555")
def flower_command(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; CAAS_FLOWER_HOST if not given.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Where the pages are served.")
    ] = None,
) -> None:
    """Run Flower: queues, workers and tasks in a browser, with a login, for looking only."""
    from caas_cli import flower

    raise typer.Exit(flower.run(Home.from_env(), host, port))
