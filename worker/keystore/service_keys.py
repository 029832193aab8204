"""What may become of a service key pair: rules as pure functions (docs/spec.md, section 8).

A pair is added; its predecessor is retired once every worker has the new file, and removed when no
message is under way to it. The oldest pair that is not retired is the one that main servers are
given, so that none is handed out before workers know it.
"""

from __future__ import annotations

from typing import Final

from caas_tasks.limits import MAX_LIFETIME_MS
from worker.keystore import change
from worker.keystore.document import Keystore, ServiceKey
from worker.keystore.errors import KeystoreError

LONGEST_MESSAGE_S: Final = MAX_LIFETIME_MS // 1_000
"""How long a message may be under way to a retired key, in seconds."""


def find(keystore: Keystore, key_id: str) -> ServiceKey:
    """The record of a service key pair.

    Raises:
        KeystoreError: there is none.
    """
    for record in keystore.service_keys:
        if record.key_id == key_id:
            return record
    raise KeystoreError("no service key has this id")


def add(keystore: Keystore, *, now_s: int, random: change.Random) -> Keystore:
    """Add a service key pair that workers open messages with and nobody is given yet.

    Args:
        now_s: Unix time in seconds.
    """
    record = change.new_service_key(now_s, random)
    return keystore.changed(service_keys=(*keystore.service_keys, record))


def retire(keystore: Keystore, key_id: str, now_s: int) -> Keystore:
    """Give main servers the next pair; messages to the retired one still open.

    Raises:
        KeystoreError: unknown, retired already, or the only one that is not.
    """
    record = find(keystore, key_id)
    if record.retired_at is not None:
        raise KeystoreError("this service key is retired already")
    if sum(key.retired_at is None for key in keystore.service_keys) == 1:
        raise KeystoreError("this is the only service key that is not retired: rotate first")
    retired = record.model_copy(update={"retired_at": now_s})
    return keystore.changed(
        service_keys=tuple(
            retired if key.key_id == key_id else key for key in keystore.service_keys
        )
    )


def remove(keystore: Keystore, key_id: str, now_s: int, *, force: bool = False) -> Keystore:
    """Take a retired pair out for good: messages to it no longer open.

    Args:
        now_s: Unix time in seconds.
        force: even if messages may still be under way to it.

    Raises:
        KeystoreError: unknown, not retired, or retired too short a time ago.
    """
    record = find(keystore, key_id)
    if record.retired_at is None:
        raise KeystoreError("this service key is not retired: main servers are given it")
    if not force and now_s < record.retired_at + LONGEST_MESSAGE_S:
        hours = LONGEST_MESSAGE_S // 3_600
        raise KeystoreError(
            f"this service key was retired less than {hours} hours ago: bulk jobs may be under way"
        )
    return keystore.changed(
        service_keys=tuple(key for key in keystore.service_keys if key.key_id != key_id)
    )
