"""`caas service-key …`: the key pairs that main servers seal their messages to (docs/keys.md)."""

from __future__ import annotations

from typing import Annotated

import typer

from caas_cli.home import Home
from caas_cli.options import Confirm, DryRun, Json
from caas_cli.output import say_json, say_table, warn

app = typer.Typer(
    help="Service key pairs, which messages are sealed to: rotate, retire, remove.",
    no_args_is_help=True,
)
KeyId = Annotated[str, typer.Argument(metavar="ID", help="As `caas service-key list` shows it.")]


@app.command("list", epilog="Example: caas service-key list --json")
def list_command(as_json: Json = False) -> None:
    """List service key pairs; the one in use is what main servers are given."""
    from caas_cli import service_keys

    found = service_keys.list_all(Home.from_env())
    if as_json:
        say_json(found)
        return
    rows = [[key["id"], key["state"], key["created_at"], key["retired_at"] or ""] for key in found]
    say_table(("id", "state", "created", "retired"), rows)


@app.command("rotate", epilog="Example: caas service-key rotate, then spread, then retire the old")
def rotate_command(
    retire_old: Annotated[
        bool,
        typer.Option(
            "--retire-old",
            help="Retire the others at once: for workers that all read this very file.",
        ),
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Add a service key pair. Main servers are given it once the old one is retired."""
    from caas_cli import keystore_change, service_keys

    change = service_keys.rotate(Home.from_env(), retire_old=retire_old, dry_run=dry_run)
    keystore_change.show(change, as_json=as_json)
    if not dry_run:
        warn(
            "Give main servers the new CAAS_SERVER_KEY; client.env of this home has it."
            if retire_old
            else "Bring the file to every worker, then: caas service-key retire ID (of the old one)"
        )


@app.command("retire", epilog="Example: caas service-key retire 0123456789abcdef")
def retire_command(key_id: KeyId, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Give main servers the next pair; messages to the retired one still open."""
    from caas_cli import keystore_change, service_keys

    change = service_keys.retire(Home.from_env(), key_id, dry_run=dry_run)
    keystore_change.show(change, as_json=as_json)
    if not dry_run:
        warn("Give main servers the new CAAS_SERVER_KEY; client.env of this home has it.")


@app.command("remove", epilog="Example: caas service-key remove ID --confirm ID")
def remove_command(
    key_id: KeyId,
    confirm: Confirm = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even if bulk jobs may be under way to it.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take a retired pair out for good: messages to it no longer open."""
    from caas_cli import keystore_change, service_keys

    change = service_keys.remove(Home.from_env(), key_id, confirm, force=force, dry_run=dry_run)
    keystore_change.show(change, as_json=as_json)
