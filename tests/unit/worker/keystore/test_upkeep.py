"""What every writing of the keystore sees to: an audit key, and secrets that are due to go."""

from __future__ import annotations

import os

import pytest

from worker.keystore import upkeep
from worker.keystore.document import Keystore, State

NOW_S = 1_760_000_000


def with_pending(keystore: Keystore, destroy_at: int) -> Keystore:
    """The keystore with a second version that is to be destroyed."""
    pending = keystore.key_versions[0].model_copy(
        update={"version": 2, "state": State.DISABLED, "destroy_at": destroy_at}
    )
    return keystore.changed(key_versions=(*keystore.key_versions, pending))


def test_audit_key_is_made_when_absent(keystore: Keystore) -> None:
    """A keystore from before the audit log gets a key for it."""
    old = keystore.changed(audit_key=None)
    assert upkeep.keep_up(old, NOW_S, lambda size: b"\x05" * size).audit_key == b"\x05" * 32


def test_nothing_to_do(keystore: Keystore) -> None:
    """A keystore that has all and owes nothing stays as it is."""
    assert upkeep.keep_up(keystore, NOW_S, os.urandom) is keystore


@pytest.mark.parametrize(("destroy_at", "is_gone"), [(NOW_S, True), (NOW_S + 1, False)])
def test_secret_goes_when_its_grace_is_over(
    keystore: Keystore, destroy_at: int, is_gone: bool
) -> None:
    """The secret of a pending version is erased from its time on, not before."""
    kept = upkeep.keep_up(with_pending(keystore, destroy_at), NOW_S, os.urandom)
    assert (kept.key_versions[1].root is None) is is_gone


def test_destroyed_version_keeps_its_number_alone(keystore: Keystore) -> None:
    """What is left of a destroyed version is its number, profile and time."""
    kept = upkeep.keep_up(with_pending(keystore, NOW_S), NOW_S, os.urandom)
    gone = kept.key_versions[1]
    assert (gone.version, gone.state, gone.salt_pool, gone.destroy_at) == (
        2,
        State.DESTROYED,
        (),
        None,
    )
