"""`caas service-key`: the key pairs that main servers seal their messages to (docs/keys.md)."""

from __future__ import annotations

import secrets
import time
from typing import Any

from caas_cli import client_env, keystore_change
from caas_cli.home import Home
from caas_cli.keystore_change import Change
from caas_cli.output import timestamp
from caas_tasks.errors import ConfigurationError
from worker.keystore import change, file, service_keys
from worker.keystore.document import Keystore


def list_all(home: Home) -> list[dict[str, Any]]:
    """What may be shown of every pair, its public half among it.

    Raises:
        KeystoreError: the keystore can't be read.
    """
    keystore = file.load(home.keystore, file.load_identities(home.identity))
    given = change.public_key(keystore).key_id.hex()
    return [
        {
            "id": key.key_id,
            "state": _state(key.key_id == given, key.retired_at),
            "created_at": timestamp(key.created_at),
            "retired_at": timestamp(key.retired_at),
            "server_key": change.public_half(key).to_text(),
        }
        for key in keystore.service_keys
    ]


def rotate(home: Home, *, retire_old: bool, dry_run: bool) -> Change:
    """Add a pair, and retire all others at once if that was asked for.

    Raises:
        KeystoreError: the keystore can't be changed.
    """
    now_s = int(time.time())

    def rule(keystore: Keystore) -> Keystore:
        added = service_keys.add(keystore, now_s=now_s, random=secrets)
        if retire_old:
            for key in keystore.service_keys:
                if key.retired_at is None:
                    added = service_keys.retire(added, key.key_id, now_s)
        return added

    return _apply(home, rule, dry_run=dry_run)


def retire(home: Home, key_id: str, *, dry_run: bool) -> Change:
    """Give main servers the next pair; `client.env` is brought up to date.

    Raises:
        KeystoreError: the keystore can't be changed, or a rule refuses.
    """
    now_s = int(time.time())
    return _apply(
        home, lambda keystore: service_keys.retire(keystore, key_id, now_s), dry_run=dry_run
    )


def remove(
    home: Home, key_id: str, confirmation: str | None, *, force: bool, dry_run: bool
) -> Change:
    """Take a retired pair out for good.

    Raises:
        UsageError: its id was not typed.
        KeystoreError: the keystore can't be changed, or a rule refuses.
    """
    now_s = int(time.time())

    def rule(keystore: Keystore) -> Keystore:
        return service_keys.remove(keystore, key_id, now_s, force=force)

    tried = keystore_change.apply(home, rule, dry_run=True)
    if dry_run:
        return tried
    keystore_change.confirm(
        key_id, confirmation, "No message that is sealed to this service key opens after this."
    )
    return _apply(home, rule, dry_run=False)


def _apply(home: Home, rule: keystore_change.Rule, *, dry_run: bool) -> Change:
    applied = keystore_change.apply(home, rule, dry_run=dry_run)
    if not dry_run:
        _hand_out(home, change.public_key(applied.after).to_text())
    return applied


def _hand_out(home: Home, server_key: str) -> None:
    """Bring what this home hands out up to date: `client.env`, and a container's secret."""
    if home.client_env.exists():
        client_env.write_changed(home.client_env, {client_env.SERVER_KEY: server_key})
    path, problem = home.gateway_server_key, ""
    if not path.exists():
        return
    try:
        file.write_private(path, server_key.encode())
    except OSError as error:
        problem = f"{path}: cannot be written: {error.strerror}"
    if problem:
        raise ConfigurationError(problem)


def _state(is_given: bool, retired_at: int | None) -> str:
    if retired_at is not None:
        return "retired"
    return "in use" if is_given else "added"
