"""What may become of a key version: the rules of docs/spec.md, section 5, as pure functions.

Each takes a keystore and gives the changed one, or refuses. Whatever is called in whatever order,
the primary is enabled and not below a minimum, a destroyed version never comes back, and a number
is never used twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from worker.keystore import change, upkeep
from worker.keystore.document import Keystore, KeyVersion, Profile, State
from worker.keystore.errors import KeystoreError

SECONDS_A_DAY: Final = 86_400
DEFAULT_GRACE_S: Final = 7 * SECONDS_A_DAY
"""How long a destruction can be undone, in seconds, unless something else is asked for."""


def find(keystore: Keystore, version: int) -> KeyVersion:
    """The record of a key version.

    Raises:
        KeystoreError: there is none.
    """
    for record in keystore.key_versions:
        if record.version == version:
            return record
    raise KeystoreError(f"there is no key version {version}")


def add_version(
    keystore: Keystore,
    *,
    profile: Profile,
    salt_pool: Sequence[str] | None,
    cipher_pool: Sequence[str] | None,
    allow_weak: bool,
    now_s: int,
    random: change.Random,
) -> Keystore:
    """Add an enabled key version with the next number; the primary stays what it is.

    Args:
        salt_pool: the operator's own list, which the classic profile needs; None draws one.
        cipher_pool: algorithms of the hardened profile; None takes the default pool.
        allow_weak: let the cipher pool name weak algorithms.
        now_s: Unix time in seconds.

    Raises:
        KeystoreError: the classic profile without a salt pool or with a cipher pool, or a cipher
            pool that is empty, names an algorithm twice or one that is not allowed.
    """
    if cipher_pool is not None and profile is Profile.CLASSIC:
        raise KeystoreError("the classic profile has its ciphers built in")
    if cipher_pool is not None and len(set(cipher_pool)) != len(cipher_pool):
        raise KeystoreError("the cipher pool names an algorithm twice")
    number = max(record.version for record in keystore.key_versions) + 1
    record = change.new_key_version(number, profile, salt_pool, now_s, random)
    if cipher_pool is not None:
        record = {**record, "cipher_pool": tuple(cipher_pool), "allow_weak": allow_weak}
    return keystore.changed(key_versions=(*keystore.key_versions, record))


def promote(keystore: Keystore, version: int) -> Keystore:
    """Let an enabled key version make the new values.

    Raises:
        KeystoreError: unknown, not enabled, below a minimum, or the primary already.
    """
    record = find(keystore, version)
    if version == keystore.primary:
        raise KeystoreError(f"key version {version} is the primary already")
    if record.state is not State.ENABLED:
        raise KeystoreError(
            f"key version {version} is {record.state.value}: only enabled ones make"
        )
    lowest = max(keystore.minimum_making, keystore.minimum_checking)
    if version < lowest:
        raise KeystoreError(f"key version {version} is below the minimum version {lowest}")
    return keystore.changed(primary=version)


def disable(keystore: Keystore, version: int) -> Keystore:
    """Answer a key version's values as unavailable, until it is enabled again.

    Raises:
        KeystoreError: unknown, the primary, or not enabled.
    """
    record = _not_primary(keystore, version)
    if record.state is not State.ENABLED:
        raise KeystoreError(f"key version {version} is {record.state.value} already")
    return _with(keystore, record.model_copy(update={"state": State.DISABLED}))


def enable(keystore: Keystore, version: int, now_s: float) -> Keystore:
    """Use a disabled key version again; one that waits to be destroyed is kept after all.

    Raises:
        KeystoreError: unknown, enabled, destroyed, or its grace period is over.
    """
    record = find(keystore, version)
    if record.state is State.ENABLED:
        raise KeystoreError(f"key version {version} is enabled already")
    _refuse_destroyed(record, now_s)
    changes = {"state": State.ENABLED, "destroy_at": None}
    return _with(keystore, record.model_copy(update=changes))


def schedule_destruction(
    keystore: Keystore, version: int, now_s: int, grace_s: int = DEFAULT_GRACE_S
) -> Keystore:
    """Disable a key version at once and have its secret erased when the grace period is over.

    The erasing is done by the first writing of the keystore after that (`upkeep.keep_up`).

    Args:
        now_s: Unix time in seconds.
        grace_s: seconds in which `enable` and `undo_destruction` bring it back.

    Raises:
        KeystoreError: unknown, the primary, destroyed, or waiting to be destroyed already.
    """
    record = _not_primary(keystore, version)
    if record.state is State.DESTROYED:
        raise KeystoreError(f"key version {version} is destroyed already")
    if record.destroy_at is not None:
        raise KeystoreError(f"key version {version} waits to be destroyed already")
    changes = {"state": State.DISABLED, "destroy_at": now_s + grace_s}
    return _with(keystore, record.model_copy(update=changes))


def undo_destruction(keystore: Keystore, version: int, now_s: float) -> Keystore:
    """Keep a key version that waits to be destroyed; it stays disabled.

    Raises:
        KeystoreError: unknown, not waiting to be destroyed, or its grace period is over.
    """
    record = find(keystore, version)
    _refuse_destroyed(record, now_s)
    if record.destroy_at is None:
        raise KeystoreError(f"key version {version} does not wait to be destroyed")
    return _with(keystore, record.model_copy(update={"destroy_at": None}))


def set_minimums(
    keystore: Keystore, *, making: int | None = None, checking: int | None = None
) -> Keystore:
    """Set the lowest version that may make values, the lowest whose values are checked, or both.

    Raises:
        KeystoreError: a minimum above the primary, which would then have to be refused.
    """
    changes = {"minimum_making": making, "minimum_checking": checking}
    wanted = {name: value for name, value in changes.items() if value is not None}
    if any(value > keystore.primary for value in wanted.values()):
        raise KeystoreError(
            f"a minimum can't be above the primary, key version {keystore.primary}: promote first"
        )
    return keystore.changed(**wanted)


def _with(keystore: Keystore, changed: KeyVersion) -> Keystore:
    return keystore.changed(
        key_versions=tuple(
            changed if record.version == changed.version else record
            for record in keystore.key_versions
        )
    )


def _not_primary(keystore: Keystore, version: int) -> KeyVersion:
    record = find(keystore, version)
    if version == keystore.primary:
        raise KeystoreError(f"key version {version} is the primary: promote another one first")
    return record


def _refuse_destroyed(record: KeyVersion, now_s: float) -> None:
    if record.state is State.DESTROYED:
        raise KeystoreError(f"key version {record.version} is destroyed: its secret is gone")
    if upkeep.is_due(record, now_s):
        raise KeystoreError(f"key version {record.version} is past its grace period")
