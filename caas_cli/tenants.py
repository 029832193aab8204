"""`caas tenant`: the applications that API keys belong to, and their limits of guesses."""

from __future__ import annotations

from typing import Any

from caas_cli import keystore_change
from caas_cli.home import Home
from caas_cli.keystore_change import Change
from caas_cli.output import timestamp
from worker.keystore import access, file
from worker.keystore.access import GuessLimits
from worker.keystore.document import Keystore


def list_all(home: Home) -> list[dict[str, Any]]:
    """Every tenant with its limits and how many API keys it has.

    Raises:
        KeystoreError: the keystore can't be read.
    """
    keystore = file.load(home.keystore, file.load_identities(home.identity))
    return [
        {
            "name": tenant.name,
            "created_at": timestamp(tenant.created_at),
            "api_keys": sum(key.tenant == tenant.name for key in keystore.api_keys),
            "guesses_per_minute": tenant.guesses_per_minute,
            "guesses_per_day": tenant.guesses_per_day,
        }
        for tenant in keystore.tenants
    ]


def set_limits(home: Home, name: str, limits: GuessLimits, *, dry_run: bool) -> Change:
    """Set the limits that are given; the others stay.

    Raises:
        KeystoreError: no such tenant, a limit out of range, or the keystore can't be changed.
    """

    def rule(keystore: Keystore) -> Keystore:
        now = access.guess_limits(keystore, name)
        wanted = GuessLimits(limits.per_minute or now.per_minute, limits.per_day or now.per_day)
        return access.set_guess_limits(keystore, name, wanted)

    return keystore_change.apply(home, rule, dry_run=dry_run)


def reset_limits(home: Home, name: str, *, dry_run: bool) -> Change:
    """Let the worker's settings count for a tenant again.

    Raises:
        KeystoreError: no such tenant, or the keystore can't be changed.
    """
    return keystore_change.apply(
        home,
        lambda keystore: access.set_guess_limits(keystore, name, GuessLimits()),
        dry_run=dry_run,
    )
