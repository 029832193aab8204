"""`caas key`: the rules of `worker.keystore.lifecycle`, applied to the home's keystore.

Running workers notice a change within seconds. Workers on other hosts have it when its file has
been brought to them.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from caas_cli import init, keystore_change
from caas_cli.exit_codes import UsageError
from caas_cli.home import Home
from caas_cli.keystore_change import Change
from caas_cli.output import timestamp, warn
from worker.keystore import file, lifecycle
from worker.keystore.document import Keystore, KeyVersion, Profile, State
from worker.operations.digests import WEAK

CLASSIC_WARNING: Final = (
    "The classic profile is weak: its values have no secret key in them. Use it only to move to "
    "hardened."
)


@dataclass(frozen=True, slots=True)
class Rotation:
    """What the new key version should be like.

    Attributes:
        salt_pool: a JSON file with the existing service's salts, for the classic profile alone.
        ciphers: the cipher pool; none takes the default one.
        allow_weak: let the cipher pool name weak algorithms.
        promote_after_s: promote it this many seconds later; None leaves that to a later command.
    """

    profile: Profile = Profile.HARDENED
    salt_pool: Path | None = None
    ciphers: Sequence[str] = ()
    allow_weak: bool = False
    promote_after_s: int | None = None


def list_all(home: Home) -> dict[str, Any]:
    """What may be shown of the key versions: the primary, the minimums and each version.

    Raises:
        KeystoreError: the keystore can't be read.
    """
    keystore = file.load(home.keystore, file.load_identities(home.identity))
    return {
        "primary": keystore.primary,
        "minimum_making": keystore.minimum_making,
        "minimum_checking": keystore.minimum_checking,
        "key_versions": [_describe(keystore, record) for record in keystore.key_versions],
    }


def rotate(home: Home, rotation: Rotation, *, dry_run: bool) -> Change:
    """Add a key version; promote it after a while if that was asked for.

    Raises:
        UsageError: options that don't go together.
        KeystoreError: the keystore can't be changed, or a rule refuses.
    """
    salts = _checked_salts(rotation)
    now_s = int(time.time())

    def add(keystore: Keystore) -> Keystore:
        added = lifecycle.add_version(
            keystore,
            profile=rotation.profile,
            salt_pool=salts,
            cipher_pool=tuple(rotation.ciphers) or None,
            allow_weak=rotation.allow_weak,
            now_s=now_s,
            random=secrets,
        )
        if dry_run and rotation.promote_after_s is not None:
            return lifecycle.promote(added, newest(added))
        return added

    _warn_of_weakness(rotation)
    change = keystore_change.apply(home, add, dry_run=dry_run)
    if dry_run or rotation.promote_after_s is None:
        return change
    return _promote_later(home, change, rotation.promote_after_s)


def newest(keystore: Keystore) -> int:
    """The highest key version's number."""
    return max(record.version for record in keystore.key_versions)


def promote(home: Home, version: int, *, dry_run: bool) -> Change:
    """Let a key version make the new values.

    Raises:
        KeystoreError: the keystore can't be changed, or a rule refuses.
    """

    def rule(keystore: Keystore) -> Keystore:
        record = lifecycle.find(keystore, version)
        was_hardened = lifecycle.find(keystore, keystore.primary).profile is Profile.HARDENED
        if record.profile is Profile.CLASSIC and was_hardened:
            warn(CLASSIC_WARNING)
        return lifecycle.promote(keystore, version)

    return keystore_change.apply(home, rule, dry_run=dry_run)


def destroy(
    home: Home, version: int, grace_days: int, confirmation: str | None, *, dry_run: bool
) -> Change:
    """Disable a key version and have its secret erased after a grace period.

    Raises:
        UsageError: its name was not typed.
        KeystoreError: the keystore can't be changed, or a rule refuses.
    """
    now_s = int(time.time())
    grace_s = grace_days * lifecycle.SECONDS_A_DAY

    def rule(keystore: Keystore) -> Keystore:
        return lifecycle.schedule_destruction(keystore, version, now_s, grace_s)

    tried = keystore_change.apply(home, rule, dry_run=True)
    if dry_run:
        return tried
    keystore_change.confirm(
        name_of(version),
        confirmation,
        f"No value made with key version {version} can be verified or opened again, from now on; "
        f"after {grace_days} day(s) for good. Old copies of the keystore file still hold it.",
    )
    return keystore_change.apply(home, rule, dry_run=False)


def name_of(version: int) -> str:
    """What has to be typed to destroy a key version."""
    return f"key-{version}"


def _promote_later(home: Home, added: Change, after_s: int) -> Change:
    version = newest(added.after)
    warn(f"Key version {version} is added; it becomes the primary in {after_s} s.")
    try:
        time.sleep(after_s)
    except KeyboardInterrupt:
        warn(f"Key version {version} stays added; `caas key promote {version}` makes it primary.")
        raise
    promoted = promote(home, version, dry_run=False)
    return Change(added.before, promoted.after, is_dry_run=False)


def _checked_salts(rotation: Rotation) -> tuple[str, ...] | None:
    if rotation.profile is Profile.CLASSIC and rotation.salt_pool is None:
        raise UsageError("--profile classic needs --salt-pool FILE, the existing service's salts")
    if rotation.profile is Profile.HARDENED and rotation.salt_pool is not None:
        raise UsageError(
            "--salt-pool goes with --profile classic; hardened salts are always random"
        )
    if rotation.allow_weak and not rotation.ciphers:
        raise UsageError("--allow-weak needs the whole cipher pool, --cipher NAME for each")
    return None if rotation.salt_pool is None else init.read_salts(rotation.salt_pool)


def _warn_of_weakness(rotation: Rotation) -> None:
    if rotation.profile is Profile.CLASSIC:
        warn(CLASSIC_WARNING)
    weak = [name for name in rotation.ciphers if name in WEAK]
    if rotation.allow_weak and weak:
        warn(f"The cipher pool holds weak algorithms: {', '.join(weak)}.")


def _describe(keystore: Keystore, record: KeyVersion) -> dict[str, Any]:
    is_enabled = record.state is State.ENABLED
    return {
        "version": record.version,
        "state": "to be destroyed" if record.destroy_at is not None else record.state.value,
        "primary": record.version == keystore.primary,
        "checked": is_enabled and record.version >= keystore.minimum_checking,
        "profile": record.profile.value,
        "allow_weak": record.allow_weak,
        "created_at": timestamp(record.created_at),
        "destroy_at": timestamp(record.destroy_at),
    }
