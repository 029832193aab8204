"""`caas apikey …`: API keys from their making to their end (docs/keys.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from caas_cli.home import Home
from caas_cli.options import DryRun, Json
from caas_cli.output import say, say_json, say_table, warn

if TYPE_CHECKING:
    from caas_cli.api_keys import Made

app = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)
KeyId = Annotated[str, typer.Argument(metavar="ID", help="As `caas apikey list` shows it.")]


@app.command("create", epilog="Example: caas apikey create --scope encrypt --expires-in 90")
def create_command(
    tenant: Annotated[
        str | None, typer.Option(help="Whose key; may be left out while there is one tenant.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="An operation it may ask for; repeat; all if none.")
    ] = None,
    expires_in: Annotated[
        int | None, typer.Option(min=1, max=36_500, metavar="DAYS", help="Days until it expires.")
    ] = None,
    requests_per_s: Annotated[
        int | None,
        typer.Option(
            min=1, max=10**9, help="Items a second that a worker answers; no limit if none."
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make an API key and show it, this once."""
    from caas_cli import api_keys

    made = api_keys.create(
        Home.from_env(), tenant, scope or [], expires_in, requests_per_s, dry_run=dry_run
    )
    _show(made, as_json=as_json)


@app.command("list", epilog="Example: caas apikey list --json")
def list_command(as_json: Json = False) -> None:
    """List API keys, without their secrets."""
    from caas_cli import api_keys

    keys = api_keys.list_all(Home.from_env())
    if as_json:
        say_json(keys)
        return
    names = ("id", "tenant", "hint", "state", "created_at", "expires_at", "last_used")
    rows = [
        [
            *(str(key[name] or "never") for name in names),
            str(key["requests_per_s"] or ""),
            " ".join(key["scopes"]),
        ]
        for key in keys
    ]
    say_table(
        ("id", "tenant", "ends in", "state", "created", "expires", "last used", "a second",
         "scopes"),
        rows,
    )  # fmt: skip


@app.command("rotate", epilog="Example: caas apikey rotate 3fK9aZ0bQ1xY --overlap 48")
def rotate_command(
    key_id: KeyId,
    overlap: Annotated[
        int, typer.Option(min=0, max=8_760, metavar="HOURS", help="How long both are valid.")
    ] = 24,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make a key that takes another's place, and show it, this once; the old one expires."""
    from caas_cli import api_keys

    made = api_keys.rotate(Home.from_env(), key_id, overlap, dry_run=dry_run)
    _show(made, as_json=as_json)


@app.command("revoke", epilog="Example: caas apikey revoke 3fK9aZ0bQ1xY")
def revoke_command(key_id: KeyId, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Revoke an API key for good; workers refuse it within seconds."""
    from caas_cli import api_keys, keystore_change

    change, record = api_keys.revoke(Home.from_env(), key_id, dry_run=dry_run)
    if as_json:
        say_json({**record, "dry_run": dry_run})
    elif dry_run:
        keystore_change.show(change, as_json=False)
    else:
        say(f"revoked {record['id']} (ends in {record['hint']})")


def _show(made: Made, *, as_json: bool) -> None:
    from caas_cli import keystore_change

    change = made.change
    if change.is_dry_run:
        keystore_change.show(change, as_json=as_json)
        return
    if as_json:
        say_json({**made.record, "api_key": made.text})
        return
    if made.is_in_client_env:
        warn("client.env of this home has the new key.")
    warn("Shown this once; the keystore holds only its hash.")
    say(made.text)
