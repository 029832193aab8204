"""Key versions on their way from one keystore to another."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from worker.keystore import lifecycle, transfer, upkeep
from worker.keystore.document import Keystore, Profile, State
from worker.keystore.errors import KeystoreError

NOW_S = 1_760_000_000
NewKeystore = Callable[..., Keystore]


def rotated(keystore: Keystore) -> Keystore:
    """The keystore with version 2 as its primary."""
    added = lifecycle.add_version(
        keystore,
        profile=Profile.HARDENED,
        salt_pool=("a",),
        cipher_pool=None,
        allow_weak=False,
        now_s=NOW_S,
        random=secrets,
    )
    return lifecycle.promote(added, 2)


def numbers(raw: bytes) -> list[int]:
    return [record.version for record in transfer.read(raw)]


def test_everything_is_exported(keystore: Keystore) -> None:
    """Without a choice every version that has its secret is in the export."""
    assert numbers(transfer.export(rotated(keystore), ())) == [1, 2]


def test_chosen_versions_are_exported(keystore: Keystore) -> None:
    """An export holds the versions that were asked for and no other's secret."""
    whole = rotated(keystore)
    raw = transfer.export(whole, (2,))
    assert transfer.read(raw) == (whole.key_versions[1],)


def test_destroyed_version_is_left_out(keystore: Keystore) -> None:
    """What has no secret can't be moved: left out of the whole, refused by name."""
    pending = lifecycle.schedule_destruction(rotated(keystore), 1, NOW_S, 0)
    gone = upkeep.keep_up(pending, NOW_S, secrets.token_bytes)
    assert numbers(transfer.export(gone, ())) == [2]
    with pytest.raises(KeystoreError, match="1 is destroyed"):
        transfer.export(gone, (1,))


def test_pending_destruction_does_not_travel(keystore: Keystore) -> None:
    """A version that waits to be destroyed here is exported as a disabled one."""
    pending = lifecycle.schedule_destruction(rotated(keystore), 1, NOW_S)
    (record,) = transfer.read(transfer.export(pending, (1,)))
    assert (record.state, record.destroy_at) == (State.DISABLED, None)


@pytest.mark.parametrize(
    ("versions", "reason"),
    [((3,), "there is no key version 3"), ((1, 1), "^a key version is named twice$")],
)
def test_other_choices(keystore: Keystore, versions: tuple[int, ...], reason: str) -> None:
    """An unknown version, or the same one twice, is a mistake."""
    with pytest.raises(KeystoreError, match=reason):
        transfer.export(keystore, versions)


def test_imported_version_is_as_it_was(keystore: Keystore) -> None:
    """A version comes with its secret, pools and state; the primary stays what it was."""
    whole = rotated(keystore)
    taken = transfer.import_versions(keystore, transfer.read(transfer.export(whole, (2,))))
    assert (taken.key_versions, taken.primary) == (whole.key_versions, 1)


def test_imported_versions_stand_in_order(keystore: Keystore) -> None:
    """An older version than those here is put before them."""
    whole = rotated(keystore)
    newer = whole.changed(key_versions=whole.key_versions[1:])
    taken = transfer.import_versions(newer, transfer.read(transfer.export(whole, (1,))))
    assert [record.version for record in taken.key_versions] == [1, 2]


def test_importing_twice_changes_nothing(keystore: Keystore) -> None:
    """A version that is here already stays as it is, its state included."""
    raw = transfer.export(rotated(keystore), ())
    disabled = lifecycle.disable(rotated(keystore), 1)
    whole = disabled.changed(key_versions=(disabled.key_versions[0], transfer.read(raw)[1]))
    assert transfer.import_versions(whole, transfer.read(raw)) == whole


def test_another_secret_of_the_same_number(new_keystore: NewKeystore) -> None:
    """Two keystores' versions 1 are two things: neither takes the other's place."""
    stranger = transfer.read(transfer.export(new_keystore(seed=2), ()))
    with pytest.raises(KeystoreError, match="1 is another one in this keystore"):
        transfer.import_versions(new_keystore(seed=1), stranger)


def test_destroyed_version_does_not_come_back(keystore: Keystore) -> None:
    """An export from before does not revive what was destroyed here."""
    whole = rotated(keystore)
    raw = transfer.export(whole, (1,))
    gone = upkeep.keep_up(
        lifecycle.schedule_destruction(whole, 1, NOW_S, 0), NOW_S, secrets.token_bytes
    )
    with pytest.raises(KeystoreError, match="1 was destroyed in this keystore"):
        transfer.import_versions(gone, transfer.read(raw))


def spoilt(keystore: Keystore, **changes: Any) -> bytes:
    return json.dumps({**json.loads(transfer.export(keystore, ())), **changes}).encode()


@pytest.mark.parametrize(
    "raw", [b"", b"canary", b"[]", b"{}", b'{"format": "canary"}', b"\xff", b"7"]
)
def test_other_content(raw: bytes) -> None:
    """What is no export is called that, and not shown."""
    with pytest.raises(KeystoreError) as caught:
        transfer.read(raw)
    assert str(caught.value) == "the file opens, but holds no exported key versions"
    assert caught.value.__context__ is None


@pytest.mark.parametrize("changes", [{"format": "caas-keystore"}, {"key_versions": []}, {"x": 1}])
def test_spoilt_export(keystore: Keystore, changes: dict[str, Any]) -> None:
    """An export of another format, with nothing in it or with too much is refused."""
    with pytest.raises(KeystoreError, match="holds no exported key versions"):
        transfer.read(spoilt(keystore, **changes))


def test_later_format(keystore: Keystore) -> None:
    """An export of a later release asks for an upgrade."""
    with pytest.raises(
        KeystoreError, match=r"^the exported key versions are of a later format: upgrade first$"
    ):
        transfer.read(spoilt(keystore, format_version=2))


def test_version_without_its_secret(keystore: Keystore) -> None:
    """An export that was made by hand with a destroyed version in it is refused."""
    fields = json.loads(transfer.export(keystore, ()))["key_versions"][0]
    gone = {**fields, "version": 9, "state": "destroyed", "root": None, "salt_pool": []}
    with pytest.raises(KeystoreError, match=r"^an exported key version lacks its secret$"):
        transfer.import_versions(keystore, transfer.read(spoilt(keystore, key_versions=[gone])))
