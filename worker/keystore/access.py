"""Who may ask for how much, and until when: rules as pure functions (docs/spec.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from worker.keystore import change
from worker.keystore.change import NewApiKey
from worker.keystore.document import ApiKey, Keystore
from worker.keystore.errors import KeystoreError

DEFAULT_OVERLAP_S: Final = 24 * 3_600
"""How long the old API key stays valid after a rotation, in seconds."""


@dataclass(frozen=True, slots=True)
class GuessLimits:
    """A tenant's own limits; None means that the worker's settings count."""

    per_minute: int | None = None
    per_day: int | None = None


def find_api_key(keystore: Keystore, key_id: str) -> ApiKey:
    """The record of an API key.

    Raises:
        KeystoreError: there is none.
    """
    for record in keystore.api_keys:
        if record.key_id == key_id:
            return record
    raise KeystoreError("no API key has this id")


def rotate_api_key(
    keystore: Keystore,
    key_id: str,
    *,
    overlap_s: int = DEFAULT_OVERLAP_S,
    now_s: int,
    random: change.Random,
) -> NewApiKey:
    """Make a key that takes another one's place; the old one expires after an overlap.

    The new key has the old one's tenant, scopes and limit, and if that one was to expire, as long a
    life as it had.

    Args:
        overlap_s: seconds in which both are valid.
        now_s: Unix time in seconds.

    Raises:
        KeystoreError: unknown, revoked, expired or rotated already.
    """
    old = find_api_key(keystore, key_id)
    if not old.is_valid_at(now_s):
        raise KeystoreError("this API key is revoked or expired: create a new one")
    if old.rotated_to is not None:
        raise KeystoreError("this API key is rotated already; if its successor is lost, create one")
    lifetime_s = None if old.expires_at is None else old.expires_at - old.created_at
    new = change.add_api_key(
        keystore,
        tenant=old.tenant,
        scopes=old.scopes,
        expires_at=None if lifetime_s is None else now_s + lifetime_s,
        requests_per_s=old.requests_per_s,
        now_s=now_s,
        random=random,
    )
    ends_at = now_s + overlap_s
    changes = {
        "rotated_to": new.key_id,
        "expires_at": ends_at if old.expires_at is None else min(old.expires_at, ends_at),
    }
    api_keys = tuple(
        record.model_copy(update=changes) if record.key_id == key_id else record
        for record in new.keystore.api_keys
    )
    return NewApiKey(new.keystore.changed(api_keys=api_keys), new.key_id, new.text)


def guess_limits(keystore: Keystore, tenant: str) -> GuessLimits:
    """A tenant's own limits of guesses.

    Raises:
        KeystoreError: no such tenant.
    """
    for record in keystore.tenants:
        if record.name == tenant:
            return GuessLimits(record.guesses_per_minute, record.guesses_per_day)
    raise KeystoreError("there is no tenant of this name")


def set_guess_limits(keystore: Keystore, tenant: str, limits: GuessLimits) -> Keystore:
    """Give a tenant its own limits of guesses about one user.

    Raises:
        KeystoreError: no such tenant, a limit out of range, or more a minute than a day.
    """
    guess_limits(keystore, tenant)
    if limits.per_minute and limits.per_day and limits.per_minute > limits.per_day:
        raise KeystoreError("more guesses a minute than a day")
    changes = {"guesses_per_minute": limits.per_minute, "guesses_per_day": limits.per_day}
    return keystore.changed(
        tenants=tuple(
            record.model_copy(update=changes) if record.name == tenant else record
            for record in keystore.tenants
        )
    )
