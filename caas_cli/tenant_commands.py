"""`caas tenant …`: the applications that API keys belong to, their limits and password costs."""

from __future__ import annotations

from typing import Annotated

import typer

from caas_cli.home import Home
from caas_cli.options import DryRun, Json
from caas_cli.output import say_json, say_table

app = typer.Typer(
    help="Tenants, their limits of guesses and what their password hashes cost.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `caas tenant list` shows it.")]
Limit = Annotated[int | None, typer.Option(min=1, max=10**9)]


@app.command("list", epilog="Example: caas tenant list --json")
def list_command(as_json: Json = False) -> None:
    """List tenants. One is made with its first API key."""
    from caas_cli import tenants

    found = tenants.list_all(Home.from_env())
    if as_json:
        say_json(found)
        return
    names = ("guesses_per_minute", "guesses_per_day", "password_profile")
    rows = [
        [
            tenant["name"],
            tenant["created_at"],
            str(tenant["api_keys"]),
            *(str(tenant[name] or "default") for name in names),
        ]
        for tenant in found
    ]
    say_table(
        ("tenant", "created", "API keys", "guesses a minute", "guesses a day", "passwords"), rows
    )


@app.command("set-limits", epilog="Example: caas tenant set-limits shop --guesses-per-minute 30")
def set_limits_command(
    name: Name,
    guesses_per_minute: Limit = None,
    guesses_per_day: Limit = None,
    default: Annotated[
        bool, typer.Option("--default", help="Let the worker's settings count again.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Bound how often this tenant may guess about one of its users."""
    from caas_cli import keystore_change, tenants
    from caas_cli.exit_codes import UsageError
    from worker.keystore.access import GuessLimits

    limits = GuessLimits(guesses_per_minute, guesses_per_day)
    if default == (limits != GuessLimits()):
        raise UsageError("either limits or --default")
    home = Home.from_env()
    change = (
        tenants.reset_limits(home, name, dry_run=dry_run)
        if default
        else tenants.set_limits(home, name, limits, dry_run=dry_run)
    )
    keystore_change.show(change, as_json=as_json)


@app.command(
    "set-password-profile",
    epilog="Example: caas tenant set-password-profile shop rfc9106-low-memory",
)
def set_password_profile_command(
    name: Name,
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="What a new hash costs.")],
    refuse_old_hashes: Annotated[
        bool,
        typer.Option(
            "--refuse-old-hashes",
            help="Even if the present profile's hashes will be refused: reset those passwords.",
        ),
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let new password hashes cost something else; old ones are updated as users log in.

    Hashes of rfc9106-high-memory are refused under a lower profile: their passwords must be reset.
    """
    from caas_cli import keystore_change, tenants

    change = tenants.set_password_profile(
        Home.from_env(), name, profile, refuse_old_hashes=refuse_old_hashes, dry_run=dry_run
    )
    keystore_change.show(change, as_json=as_json)
