"""`caas tenant`: the applications that API keys belong to, their limits and password costs."""

from __future__ import annotations

from typing import Any, Final, cast

from caas_cli import keystore_change
from caas_cli.home import Home
from caas_cli.keystore_change import Change
from caas_cli.output import timestamp, warn
from caas_tasks.errors import ConfigurationError
from caas_tasks.stored_forms import PASSWORD_PROFILES, PasswordProfile
from worker.keystore import access, change, file
from worker.keystore.access import GuessLimits
from worker.keystore.document import Keystore
from worker.operations.password import may_ask

CHEAPEST: Final = "cheapest"


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
            "password_profile": tenant.password_profile,
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


def set_password_profile(
    home: Home, name: str, profile: str, *, refuse_old_hashes: bool, dry_run: bool
) -> Change:
    """Let a tenant's new password hashes cost what a named profile says.

    Args:
        refuse_old_hashes: go on where workers will refuse the hashes of the present profile.

    Raises:
        ConfigurationError: they would be refused, and that was not asked for.
        KeystoreError: no such tenant or profile, or the keystore can't be changed.
    """

    def rule(keystore: Keystore) -> Keystore:
        changed = change.set_password_profile(keystore, name, profile)
        if not refuse_old_hashes and not _are_old_hashes_verified(keystore, name, profile):
            raise ConfigurationError(
                "workers would refuse every password hash of the present profile, and its users "
                "could not log in; --refuse-old-hashes does it all the same"
            )
        return changed

    applied = keystore_change.apply(home, rule, dry_run=dry_run)
    if profile == CHEAPEST:
        warn("This profile is for tests: its password hashes can be guessed fast.")
    return applied


def _are_old_hashes_verified(keystore: Keystore, name: str, profile: str) -> bool:
    """Whether hashes of a tenant's present profile may still cost what they do under another."""
    (present,) = (one.password_profile for one in keystore.tenants if one.name == name)
    new = PASSWORD_PROFILES[cast(PasswordProfile, profile)]
    return may_ask(PASSWORD_PROFILES[present], new)
