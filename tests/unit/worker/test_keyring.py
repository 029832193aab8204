"""A keyring: derived keys computed once, sessions opened once and bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from caas_tasks import envelope
from caas_tasks.errors import KeyUnavailableError, UnreadableMessageError
from worker import keyring as keyring_module
from worker.keyring import Keyring, UnknownVersionError, VersionKeys
from worker.keystore import change
from worker.keystore.document import Keystore, KeyVersion, Profile, State
from worker.operations.derivation import derive


@pytest.fixture
def ring(keystore: Keystore) -> Keyring:
    return Keyring(keystore)


def client_session(keystore: Keystore, secret: bytes = bytes(32)) -> envelope.ClientSession:
    return envelope.ClientSession.start(change.public_key(keystore), secret)


def test_derived_keys(keystore: Keystore, ring: Keyring) -> None:
    """A tenant's keys are derived from the version's root and the tenant's name."""
    (record,) = keystore.key_versions
    assert record.root is not None
    keys = ring.tenant("shop").primary
    assert keys.select == derive(record.root, "shop", "select")
    assert keys.pepper == derive(record.root, "shop", "pepper")
    assert keys.index_key("email") == derive(record.root, "shop", "index", b"email")
    assert (keys.version, keys.is_classic, keys.salt_pool) == (1, False, record.salt_pool)
    assert ring.primary == 1


def test_tenant_keys_are_made_once(ring: Keyring) -> None:
    """The second request of a tenant derives nothing; another tenant has keys of its own."""
    assert ring.tenant("shop") is ring.tenant("shop")
    assert ring.tenant("shop").primary.pepper != ring.tenant("clinic").primary.pepper


def test_index_keys_are_kept_up_to_a_bound(ring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller's field names fill the memory up to a bound; the keys beyond it are right too."""
    monkeypatch.setattr(keyring_module, "_MAX_INDEX_KEYS", 2)
    derived: list[bytes] = []

    def counting(root: bytes, tenant: str, purpose: str, tail: bytes = b"") -> bytes:
        derived.append(tail)
        return derive(root, tenant, purpose, tail)

    keys = ring.tenant("shop").primary
    monkeypatch.setattr(keyring_module, "derive", counting)
    first = {name: keys.index_key(name) for name in ("a", "b", "c")}
    assert {name: keys.index_key(name) for name in ("a", "b", "c")} == first
    assert derived == [b"a", b"b", b"c", b"c"]


def test_version_without_root(keystore: Keystore) -> None:
    """A version whose secret is gone cannot be made ready."""
    record = keystore.key_versions[0].model_copy(update={"root": None})
    with pytest.raises(KeyUnavailableError):
        VersionKeys(record, "shop")


def test_version_by_number(ring: Keyring) -> None:
    """An enabled version is found by its number."""
    tenant = ring.tenant("shop")
    assert tenant.at(1) is tenant.primary


@pytest.mark.parametrize("version", [2, 2**32 - 1])
def test_unknown_version(ring: Keyring, version: int) -> None:
    """A version without a record may be in a newer file: the answer says when to try again."""
    with pytest.raises(UnknownVersionError) as caught:
        ring.tenant("shop").at(version)
    assert (caught.value.code, caught.value.retry_after_s) == ("unavailable", 1.0)


def test_version_zero_will_never_be(ring: Keyring) -> None:
    """Numbers count from 1, so nobody is asked to wait for version 0."""
    with pytest.raises(KeyUnavailableError):
        ring.tenant("shop").at(0)


@pytest.mark.parametrize("version", [2, 3])
def test_version_that_is_not_enabled(keystore: Keystore, version: int) -> None:
    """A disabled or destroyed version has a record: waiting won't help."""
    record = keystore.key_versions[0]
    disabled = record.model_copy(update={"version": 2, "state": State.DISABLED})
    gone = {"version": 3, "state": State.DESTROYED, "root": None, "salt_pool": ()}
    destroyed = record.model_copy(update=gone)
    changed = keystore.changed(key_versions=(record, disabled, destroyed))
    with pytest.raises(KeyUnavailableError):
        Keyring(changed).tenant("shop").at(version)


def test_version_below_the_minimum_for_checking(keystore: Keystore) -> None:
    """Values of a version below the minimum are unavailable, named or not."""
    record = keystore.key_versions[0]
    second = record.model_copy(update={"version": 2})
    changed = keystore.changed(key_versions=(record, second), primary=2, minimum_checking=2)
    tenant = Keyring(changed).tenant("shop")
    assert [keys.version for keys in tenant.enabled] == [2]
    with pytest.raises(KeyUnavailableError):
        tenant.at(1)


def test_minimum_leaves_legacy_digests_verifiable(
    new_keystore: Callable[..., Keystore],
) -> None:
    """A classic version below the minimum still helps with what a newer version has wrapped."""
    keystore = new_keystore(profile=Profile.CLASSIC, salt_pool=("a", "b"))
    second = keystore.key_versions[0].model_copy(
        update={"version": 2, "profile": Profile.HARDENED, "cipher_pool": ("sha256",)}
    )
    changed = keystore.changed(
        key_versions=(*keystore.key_versions, second), primary=2, minimum_checking=2
    )
    assert [keys.version for keys in Keyring(changed).tenant("shop").legacy] == [1]


def test_enabled_versions_are_newest_first(keystore: Keystore) -> None:
    """Versions that are not enabled are left out; the others go from new to old."""
    record = keystore.key_versions[0]

    def version(number: int, state: str = "enabled") -> KeyVersion:
        return KeyVersion.model_validate(
            {**dict(record), "version": number, "state": state, "root": _b64(record.root)}
        )

    changed = keystore.changed(
        key_versions=(record, version(4), version(3, "disabled"), version(2))
    )
    tenant = Keyring(changed).tenant("shop")
    assert [keys.version for keys in tenant.enabled] == [4, 2, 1]
    assert Keyring(changed).enabled_versions == 3
    assert tenant.primary.version == 1


def _b64(raw: bytes | None) -> str:
    import base64

    return base64.b64encode(raw or b"").decode()


def test_api_keys_by_id(world: Any) -> None:
    """An API key's record is found by its id."""
    (record,) = world.keystore.api_keys
    assert world.keyring.api_key(record.key_id) == record
    assert world.keyring.api_key("unknown") is None


def test_repr_shows_no_secret(world: Any) -> None:
    """The text form says how many keys there are and nothing of them."""
    assert repr(world.keyring) == "Keyring(primary=1, api_keys=1)"


def test_session_is_opened_once(
    keystore: Keystore, ring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second message of a session costs no public-key operation."""
    session = client_session(keystore)
    opened = ring.session(session.key_id, session.wrapped)
    monkeypatch.setattr(keyring_module, "unwrap_session", None)
    assert ring.session(session.key_id, session.wrapped) is opened


def test_session_of_an_unknown_service_key(keystore: Keystore, ring: Keyring) -> None:
    """A session under a service key that is not there, or no longer, is unreadable."""
    session = client_session(keystore)
    with pytest.raises(UnreadableMessageError):
        ring.session(bytes(8), session.wrapped)


def test_session_that_does_not_open_is_not_kept(keystore: Keystore, ring: Keyring) -> None:
    """A wrapped secret that is damaged is unreadable each time."""
    session = client_session(keystore)
    for _ in range(2):
        with pytest.raises(UnreadableMessageError):
            ring.session(session.key_id, session.wrapped[:-1] + b"\0")


def test_least_recently_used_session_goes(
    keystore: Keystore, ring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the memory is full the session that was not used for longest is opened anew."""
    monkeypatch.setattr(keyring_module, "MAX_SESSIONS", 2)
    first, second, third = (client_session(keystore, bytes([n]) * 32) for n in range(3))

    def keys(session: envelope.ClientSession) -> envelope.SessionKeys:
        return ring.session(session.key_id, session.wrapped)

    kept, dropped = keys(first), keys(second)
    assert keys(first) is kept
    keys(third)
    assert keys(first) is kept
    assert keys(second) is not dropped


def test_default_bound_of_sessions() -> None:
    """A few thousand sessions are kept."""
    assert keyring_module.MAX_SESSIONS == 4_096


def test_threads_share_sessions(
    keystore: Keystore, ring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that find and drop sessions at once all get the right keys."""
    monkeypatch.setattr(keyring_module, "MAX_SESSIONS", 1)
    sessions = [client_session(keystore, bytes([n]) * 32) for n in range(4)]
    wrong: list[object] = []
    barrier = threading.Barrier(4)

    def work(session: envelope.ClientSession) -> None:
        reply = envelope.seal_reply(session.keys, "t", "m", b"x", bytes(12))
        barrier.wait(10)
        for _ in range(50):
            try:
                keys = ring.session(session.key_id, session.wrapped)
                envelope.open_reply(keys, "t", "m", reply)
            except (KeyError, UnreadableMessageError) as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
