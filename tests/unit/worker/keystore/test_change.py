"""Making and changing keystores: pure functions whose results can be told in advance."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from caas_tasks import api_key
from caas_tasks.names import SCOPES
from worker.keystore import change
from worker.keystore.document import Keystore, Profile, State
from worker.keystore.errors import KeystoreError

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
NOW_S = 1_760_000_000
NewKeystore = Callable[..., Keystore]


class CountingRandom:
    """Random bytes that tell which draw they are, and characters in turn."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.drawn = 0

    def token_bytes(self, nbytes: int, /) -> bytes:
        self.sizes.append(nbytes)
        return bytes([len(self.sizes)]) * nbytes

    def choice(self, seq: Any, /) -> str:
        assert seq == ALPHABET
        self.drawn += 1
        return str(seq[self.drawn % len(seq)])


def test_new_keystore() -> None:
    """A new keystore has one service key, key version 1, one tenant and no API key."""
    source = CountingRandom()
    keystore = change.new_keystore(
        recipients=["age1a", "age1b"],
        tenant="shop",
        profile=Profile.HARDENED,
        salt_pool=None,
        now_s=NOW_S,
        random=source,
    )
    assert source.sizes == [64, 32, 32, 32]
    assert keystore.recipients == ("age1a", "age1b")
    (service_key,), (version,), (tenant,) = (
        keystore.service_keys,
        keystore.key_versions,
        keystore.tenants,
    )
    assert (service_key.mlkem_seed, service_key.x25519) == (b"\x01" * 64, b"\x02" * 32)
    assert (version.root, version.version, version.state) == (b"\x03" * 32, 1, State.ENABLED)
    assert (version.profile, version.allow_weak) == (Profile.HARDENED, False)
    assert (tenant.name, keystore.primary, keystore.api_keys) == ("shop", 1, ())
    assert (keystore.audit_key, keystore.minimum_making, keystore.minimum_checking) == (
        b"\x04" * 32,
        1,
        1,
    )
    assert service_key.created_at == version.created_at == tenant.created_at == NOW_S


def test_service_key_id_is_that_of_its_public_half() -> None:
    """A service key is listed under the first eight bytes of its public keys' SHA-256."""
    keystore = make(CountingRandom())
    raw = (
        MLKEM768PrivateKey.from_seed_bytes(b"\x01" * 64).public_key().public_bytes_raw()
        + X25519PrivateKey.from_private_bytes(b"\x02" * 32).public_key().public_bytes_raw()
    )
    assert keystore.service_keys[0].key_id == hashlib.sha256(raw).digest()[:8].hex()
    assert change.public_key(keystore).key_id == hashlib.sha256(raw).digest()[:8]


def make(source: Any, **options: Any) -> Keystore:
    defaults: dict[str, Any] = {
        "recipients": ["age1a"],
        "tenant": "shop",
        "profile": Profile.HARDENED,
        "salt_pool": None,
    }
    return change.new_keystore(now_s=NOW_S, random=source, **{**defaults, **options})


def test_pools_of_the_hardened_profile() -> None:
    """The cipher pool is the default in its order; 64 salts are drawn of each of four lengths."""
    (version,) = make(CountingRandom()).key_versions
    assert version.cipher_pool == (
        "blake2b",
        "blake2s",
        "sha256",
        "sha384",
        "sha512",
        "sha3_256",
        "sha3_384",
        "sha3_512",
    )
    lengths = [len(salt) for salt in version.salt_pool]
    assert lengths == [8] * 64 + [16] * 64 + [32] * 64 + [64] * 64
    drawn = "".join(version.salt_pool)
    assert drawn == "".join(ALPHABET[n % 62] for n in range(1, len(drawn) + 1))


def test_classic_profile_uses_the_given_pool() -> None:
    """The classic profile has the operator's salts and no cipher pool of its own."""
    keystore = make(CountingRandom(), profile=Profile.CLASSIC, salt_pool=["a", "b"])
    (version,) = keystore.key_versions
    assert (version.profile, version.salt_pool, version.cipher_pool) == (
        Profile.CLASSIC,
        ("a", "b"),
        (),
    )


def test_hardened_profile_can_use_a_given_pool() -> None:
    """A given salt pool is used by the hardened profile too."""
    assert make(CountingRandom(), salt_pool=["a"]).key_versions[0].salt_pool == ("a",)


def test_classic_profile_needs_a_pool() -> None:
    """Random salts could not verify the existing service's values."""
    with pytest.raises(KeystoreError) as caught:
        make(CountingRandom(), profile=Profile.CLASSIC)
    assert str(caught.value) == "the classic profile needs the existing service's salt pool"


@pytest.mark.parametrize("tenant", ["", "Shop", "a b"])
def test_tenant_name_is_checked(tenant: str) -> None:
    """A malformed tenant name is refused."""
    with pytest.raises(KeystoreError, match=r"tenants\.0\.name"):
        make(CountingRandom(), tenant=tenant)


def test_oldest_service_key_is_handed_out(new_keystore: NewKeystore) -> None:
    """Main servers are given the public half of the oldest pair in use, wherever it stands."""
    old, new = new_keystore(seed=1), new_keystore(seed=2)
    newer = new.service_keys[0].model_copy(update={"created_at": NOW_S + 1})
    for keys in ((*old.service_keys, newer), (newer, *old.service_keys)):
        found = change.public_key(old.changed(service_keys=keys))
        assert found == change.public_key(old)


@pytest.mark.parametrize("pool", [["a"], ["a" * 256], ["é"] * 65_536])
def test_salt_pools(pool: list[str]) -> None:
    """A pool has 1 to 65,536 salts of 1 to 256 characters."""
    assert change.check_salt_pool(pool) == tuple(pool)


@pytest.mark.parametrize("pool", [None, {}, "abc", [], ["a"] * 65_537, ("a",)])
def test_other_salt_pools(pool: object) -> None:
    """What is no list of that size is refused."""
    with pytest.raises(KeystoreError) as caught:
        change.check_salt_pool(pool)
    assert str(caught.value) == "a salt pool is a JSON array of 1 to 65536 strings"


@pytest.mark.parametrize("salt", ["", "a" * 257, 7, None, ["a"]])
def test_other_salts(salt: object) -> None:
    """A salt that is no text of that size is refused, wherever it stands, and not shown."""
    with pytest.raises(KeystoreError) as caught:
        change.check_salt_pool(["a", salt, "b"])
    assert str(caught.value) == "a salt is a string of 1 to 256 characters"


def add(keystore: Keystore, **options: Any) -> change.NewApiKey:
    defaults: dict[str, Any] = {"tenant": "shop", "scopes": ["encrypt"], "expires_at": None}
    return change.add_api_key(
        keystore, now_s=NOW_S, random=CountingRandom(), **{**defaults, **options}
    )


def test_new_api_key(keystore: Keystore) -> None:
    """The key's record has what is needed to check it; its text is nowhere in the keystore."""
    new = add(keystore, scopes=["encrypt", "verify"], expires_at=NOW_S + 1)
    (record,) = new.keystore.api_keys
    assert new.key_id == record.key_id == api_key.parse_id(new.text)
    assert record.digest == hashlib.sha256(new.text.encode()).digest()
    assert record.hint == new.text[-10:-6]
    assert record.scopes == {"encrypt", "verify"}
    assert (record.tenant, record.created_at) == ("shop", NOW_S)
    assert (record.expires_at, record.revoked_at) == (NOW_S + 1, None)
    assert new.text not in new.keystore.model_dump_json()
    assert keystore.api_keys == ()


def test_new_api_key_shows_no_text(keystore: Keystore) -> None:
    """The text form of the result shows the public id alone."""
    new = add(keystore)
    assert repr(new) == f"NewApiKey(key_id='{new.key_id}')"


def test_known_tenant_stays_one(keystore: Keystore) -> None:
    """A second key of a tenant adds no second tenant, and the first key stays valid."""
    first = add(keystore)
    second = change.add_api_key(
        first.keystore,
        tenant="shop",
        scopes=SCOPES,
        expires_at=None,
        now_s=NOW_S,
        random=SeededLetters(),
    )
    assert [tenant.name for tenant in second.keystore.tenants] == ["shop"]
    assert [key.key_id for key in second.keystore.api_keys] == [first.key_id, second.key_id]


class SeededLetters(CountingRandom):
    """Other characters than `CountingRandom`'s first ones."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = 30


def test_new_tenant_is_made(keystore: Keystore) -> None:
    """A key for a tenant that is not known makes the tenant."""
    found = add(keystore, tenant="clinic").keystore.tenants
    assert [(t.name, t.created_at) for t in found] == [("shop", NOW_S), ("clinic", NOW_S)]


@pytest.mark.parametrize("scopes", [[], ["fly"], ["encrypt", "fly"], [""], ["ENCRYPT"]])
def test_scopes_are_operations(keystore: Keystore, scopes: list[str]) -> None:
    """A key has at least one scope, and only operations are scopes."""
    with pytest.raises(KeystoreError) as caught:
        add(keystore, scopes=scopes)
    assert str(caught.value) == f"scopes are one or more of: {', '.join(SCOPES)}"


@pytest.mark.parametrize("expires_at", [NOW_S, NOW_S - 1, 0])
def test_expiry_lies_ahead(keystore: Keystore, expires_at: int) -> None:
    """A key that would never be valid is refused."""
    with pytest.raises(KeystoreError) as caught:
        add(keystore, expires_at=expires_at)
    assert str(caught.value) == "the expiry lies in the past"


def test_revoking(keystore: Keystore) -> None:
    """Revoking sets the time of the one key and leaves the others and the old document alone."""
    first = add(keystore)
    both = change.add_api_key(
        first.keystore,
        tenant="shop",
        scopes=SCOPES,
        expires_at=None,
        now_s=NOW_S,
        random=SeededLetters(),
    )
    revoked = change.revoke_api_key(both.keystore, first.key_id, NOW_S + 5)
    assert [key.revoked_at for key in revoked.api_keys] == [NOW_S + 5, None]
    assert [key.revoked_at for key in both.keystore.api_keys] == [None, None]


def test_revoking_twice_keeps_the_first_time(keystore: Keystore) -> None:
    """The record says since when a key has been invalid."""
    new = add(keystore)
    once = change.revoke_api_key(new.keystore, new.key_id, NOW_S + 5)
    assert change.revoke_api_key(once, new.key_id, NOW_S + 9) == once


def test_revoking_an_unknown_key(keystore: Keystore) -> None:
    """An id that no key has is an error, and is not repeated."""
    with pytest.raises(KeystoreError) as caught:
        change.revoke_api_key(keystore, "canary", NOW_S)
    assert str(caught.value) == "no API key has this id"


PROFILES_REASON = "password profiles are: rfc9106-high-memory, rfc9106-low-memory, cheapest"


def test_password_profile_of_a_tenant(keystore: Keystore) -> None:
    """A tenant's new hashes cost what its profile says; other tenants' stay as they are."""
    with_two = change.add_api_key(
        keystore, tenant="blog", scopes=["encrypt"], expires_at=None, now_s=NOW_S, random=secrets
    ).keystore
    changed = change.set_password_profile(with_two, "blog", "rfc9106-high-memory")
    profiles = {tenant.name: tenant.password_profile for tenant in changed.tenants}
    assert profiles == {"shop": "cheapest", "blog": "rfc9106-high-memory"}


@pytest.mark.parametrize(
    ("tenant", "profile", "reason"),
    [
        ("canary", "cheapest", "there is no such tenant"),
        ("shop", "canary", PROFILES_REASON),
        ("shop", "", PROFILES_REASON),
    ],
)
def test_password_profile_that_is_none(
    keystore: Keystore, tenant: str, profile: str, reason: str
) -> None:
    """Another tenant or another profile is refused, and not repeated."""
    with pytest.raises(KeystoreError) as caught:
        change.set_password_profile(keystore, tenant, profile)
    assert str(caught.value) == reason
