"""What every writing of the keystore sees to, whatever it is for (docs/spec.md, section 8).

A keystore from before the audit log gets its key, and key versions whose grace period is over lose
their secret.
"""

from __future__ import annotations

from collections.abc import Callable

from worker.keystore import change
from worker.keystore.document import Keystore, KeyVersion, State


def keep_up(keystore: Keystore, now_s: float, random_bytes: Callable[[int], bytes]) -> Keystore:
    """The keystore with an audit key and without the secrets that are due to be erased.

    Args:
        now_s: Unix time in seconds.
        random_bytes: cryptographically secure, such as `os.urandom`.
    """
    changes: dict[str, object] = {}
    if keystore.audit_key is None:
        changes["audit_key"] = change.new_audit_key(random_bytes)
    if any(is_due(record, now_s) for record in keystore.key_versions):
        changes["key_versions"] = tuple(
            erased(record) if is_due(record, now_s) else record for record in keystore.key_versions
        )
    return keystore.changed(**changes) if changes else keystore


def is_due(record: KeyVersion, now_s: float) -> bool:
    """Whether a key version's grace period before destruction is over."""
    return record.destroy_at is not None and record.destroy_at <= now_s


def erased(record: KeyVersion) -> KeyVersion:
    """A key version without its secret; its number stays taken for ever."""
    return record.model_copy(
        update={"state": State.DESTROYED, "root": None, "salt_pool": (), "destroy_at": None}
    )
