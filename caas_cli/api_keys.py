"""`caas apikey`: make, list, rotate and revoke API keys in the keystore.

Running workers notice the change within seconds.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from caas_cli import client_env, keystore_change, last_use
from caas_cli.exit_codes import CommandError, ExitCode
from caas_cli.home import Home
from caas_cli.keystore_change import Change
from caas_cli.output import timestamp
from caas_tasks import api_key
from caas_tasks.errors import UnauthorizedError
from caas_tasks.names import SCOPES
from worker.keystore import access, change, file
from worker.keystore.change import NewApiKey
from worker.keystore.document import ApiKey, Keystore

SECONDS_A_DAY = 86_400
SECONDS_AN_HOUR = 3_600


@dataclass(frozen=True, slots=True)
class Made:
    """A new API key: what may be shown of it, and its text, which is nowhere else.

    Attributes:
        is_in_client_env: whether this home's `client.env` was given it.
    """

    change: Change
    record: dict[str, Any]
    text: str = field(repr=False)
    is_in_client_env: bool = False


def create(
    home: Home,
    tenant: str | None,
    scopes: Sequence[str],
    expires_in_days: int | None,
    requests_per_s: int | None = None,
    *,
    dry_run: bool = False,
) -> Made:
    """Give a tenant one more API key.

    Args:
        tenant: its name; None means the keystore's only one.
        scopes: operations the key may ask for; none means all.
        requests_per_s: items a second that it may ask for, of each worker; None: no limit.

    Raises:
        KeystoreError: the keystore can't be changed, or a name, scope, time or limit is wrong.
        CommandError: no tenant was named and there are several.
    """
    now_s = int(time.time())
    expires_at = None if expires_in_days is None else now_s + expires_in_days * SECONDS_A_DAY
    return _make(
        home,
        lambda keystore: change.add_api_key(
            keystore,
            tenant=tenant or _only_tenant(keystore),
            scopes=scopes or SCOPES,
            expires_at=expires_at,
            requests_per_s=requests_per_s,
            now_s=now_s,
            random=secrets,
        ),
        now_s,
        dry_run=dry_run,
    )


def rotate(home: Home, key_id: str, overlap_hours: int, *, dry_run: bool = False) -> Made:
    """Make a key that takes another one's place; the old one expires after an overlap.

    `client.env` is given the new key when it holds the old one.

    Raises:
        KeystoreError: the keystore can't be changed, or the key can't be rotated.
    """
    now_s = int(time.time())
    made = _make(
        home,
        lambda keystore: access.rotate_api_key(
            keystore,
            key_id,
            overlap_s=overlap_hours * SECONDS_AN_HOUR,
            now_s=now_s,
            random=secrets,
        ),
        now_s,
        dry_run=dry_run,
    )
    is_there = _key_id_of(client_env.read(home.client_env).get(client_env.API_KEY)) == key_id
    if is_there and not dry_run:
        client_env.write_changed(home.client_env, {client_env.API_KEY: made.text})
    return Made(made.change, made.record, made.text, is_in_client_env=is_there)


def list_all(home: Home) -> list[dict[str, Any]]:
    """What may be shown of every API key, oldest first, with when it was last used.

    Raises:
        KeystoreError: the keystore can't be read.
    """
    keystore = file.load(home.keystore, file.load_identities(home.identity))
    now_s = int(time.time())
    used = last_use.read(home, [record.key_id for record in keystore.api_keys])
    return [
        {**describe(record, now_s), "last_used": last_use.in_words(used, record.key_id)}
        for record in keystore.api_keys
    ]


def revoke(home: Home, key_id: str, *, dry_run: bool = False) -> tuple[Change, dict[str, Any]]:
    """Revoke an API key for good; what changed, and what may be shown of it.

    Raises:
        KeystoreError: no such key, or the keystore can't be changed.
    """
    now_s = int(time.time())
    applied = keystore_change.apply(
        home, lambda keystore: change.revoke_api_key(keystore, key_id, now_s), dry_run=dry_run
    )
    return applied, describe(access.find_api_key(applied.after, key_id), now_s)


def describe(record: ApiKey, now_s: int) -> dict[str, Any]:
    """The part of a record that may be shown."""
    state = "valid"
    if record.revoked_at is not None:
        state = "revoked"
    elif not record.is_valid_at(now_s):
        state = "expired"
    elif record.rotated_to is not None:
        state = "rotated"
    return {
        "id": record.key_id,
        "tenant": record.tenant,
        "hint": record.hint,
        "state": state,
        "scopes": sorted(record.scopes),
        "requests_per_s": record.requests_per_s,
        "created_at": timestamp(record.created_at),
        "expires_at": timestamp(record.expires_at),
        "revoked_at": timestamp(record.revoked_at),
        "rotated_to": record.rotated_to,
    }


def _make(home: Home, rule: Callable[[Keystore], NewApiKey], now_s: int, *, dry_run: bool) -> Made:
    made: list[NewApiKey] = []

    def add(keystore: Keystore) -> Keystore:
        made.append(rule(keystore))
        return made[-1].keystore

    applied = keystore_change.apply(home, add, dry_run=dry_run)
    new = made[-1]
    record = describe(access.find_api_key(applied.after, new.key_id), now_s)
    return Made(applied, record, "" if dry_run else new.text)


def _key_id_of(text: str | None) -> str | None:
    try:
        return None if text is None else api_key.parse_id(text)
    except UnauthorizedError:
        return None


def _only_tenant(keystore: Keystore) -> str:
    if len(keystore.tenants) == 1:
        return keystore.tenants[0].name
    names = ", ".join(tenant.name for tenant in keystore.tenants)
    raise CommandError(f"--tenant is needed, there are several: {names}", ExitCode.USAGE)
