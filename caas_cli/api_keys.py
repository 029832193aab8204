"""`caas apikey`: make, list and revoke API keys in the keystore.

Running workers notice the change within seconds.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from caas_cli.exit_codes import CommandError, ExitCode
from caas_cli.home import Home
from caas_cli.output import timestamp
from caas_tasks.names import SCOPES
from worker.keystore import change, file
from worker.keystore.document import ApiKey, Keystore

SECONDS_A_DAY = 86_400


def create(
    home: Home, tenant: str | None, scopes: Sequence[str], expires_in_days: int | None
) -> dict[str, Any]:
    """Give a tenant one more API key.

    Args:
        tenant: its name; None means the keystore's only one.
        scopes: operations the key may ask for; none means all.

    Returns:
        The key's record, with its text under `api_key`, which is nowhere else.

    Raises:
        KeystoreError: the keystore can't be changed, or a name, scope or time is wrong.
        CommandError: no tenant was named and there are several.
    """
    now_s = int(time.time())
    expires_at = None if expires_in_days is None else now_s + expires_in_days * SECONDS_A_DAY
    made: list[change.NewApiKey] = []

    def add(keystore: Keystore) -> Keystore:
        made.append(
            change.add_api_key(
                keystore,
                tenant=tenant or _only_tenant(keystore),
                scopes=scopes or SCOPES,
                expires_at=expires_at,
                now_s=now_s,
                random=secrets,
            )
        )
        return made[-1].keystore

    keystore = file.update(home.keystore, file.load_identities(home.identity), add)
    record = next(key for key in keystore.api_keys if key.key_id == made[-1].key_id)
    return {**describe(record, now_s), "api_key": made[-1].text}


def list_all(home: Home) -> list[dict[str, Any]]:
    """What may be shown of every API key, oldest first.

    Raises:
        KeystoreError: the keystore can't be read.
    """
    keystore = file.load(home.keystore, file.load_identities(home.identity))
    now_s = int(time.time())
    return [describe(record, now_s) for record in keystore.api_keys]


def revoke(home: Home, key_id: str) -> dict[str, Any]:
    """Revoke an API key for good.

    Raises:
        KeystoreError: no such key, or the keystore can't be changed.
    """
    now_s = int(time.time())
    keystore = file.update(
        home.keystore,
        file.load_identities(home.identity),
        lambda keystore: change.revoke_api_key(keystore, key_id, now_s),
    )
    return next(describe(key, now_s) for key in keystore.api_keys if key.key_id == key_id)


def describe(record: ApiKey, now_s: int) -> dict[str, Any]:
    """The part of a record that may be shown."""
    state = "valid"
    if record.revoked_at is not None:
        state = "revoked"
    elif not record.is_valid_at(now_s):
        state = "expired"
    return {
        "id": record.key_id,
        "tenant": record.tenant,
        "hint": record.hint,
        "state": state,
        "scopes": sorted(record.scopes),
        "created_at": timestamp(record.created_at),
        "expires_at": timestamp(record.expires_at),
        "revoked_at": timestamp(record.revoked_at),
    }


def _only_tenant(keystore: Keystore) -> str:
    if len(keystore.tenants) == 1:
        return keystore.tenants[0].name
    names = ", ".join(tenant.name for tenant in keystore.tenants)
    raise CommandError(f"--tenant is needed, there are several: {names}", ExitCode.USAGE)
