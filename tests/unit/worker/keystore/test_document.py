"""What a keystore holds: consistent as a whole, silent about its secrets."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from worker.keystore import document
from worker.keystore.document import Keystore, Profile, State
from worker.keystore.errors import KeystoreError

KEY = {
    "key_id": "aB3dE6gH9jK2",
    "tenant": "shop",
    "digest": base64.b64encode(bytes(range(32))).decode(),
    "hint": "abcd",
    "scopes": ["encrypt"],
    "created_at": 5,
}


@pytest.fixture
def fields(keystore: Keystore) -> dict[str, Any]:
    """The JSON of a good keystore, to be spoilt."""
    found: dict[str, Any] = json.loads(document.encode(keystore))
    found["api_keys"] = [dict(KEY)]
    return found


def read(fields: dict[str, Any]) -> Keystore:
    return document.decode(json.dumps(fields).encode())


def refusal(fields: dict[str, Any]) -> str:
    """What a spoilt keystore is refused with, having checked that nothing hangs on the error."""
    with pytest.raises(KeystoreError) as caught:
        read(fields)
    assert caught.value.__context__ is None
    return str(caught.value)


def test_keystore_survives_its_json(fields: dict[str, Any]) -> None:
    """What is encoded is decoded, secrets and all."""
    keystore = read(fields)
    assert document.decode(document.encode(keystore)) == keystore


def test_json_of_a_keystore(fields: dict[str, Any]) -> None:
    """The document names its format and keeps secrets as base64."""
    assert (fields["format"], fields["format_version"]) == ("caas-keystore", 1)
    assert set(fields) == {
        "format",
        "format_version",
        "recipients",
        "service_keys",
        "key_versions",
        "primary",
        "tenants",
        "api_keys",
        "audit_key",
        "minimum_making",
        "minimum_checking",
    }
    assert len(base64.b64decode(fields["audit_key"])) == 32
    assert len(base64.b64decode(fields["key_versions"][0]["root"])) == 32
    assert len(base64.b64decode(fields["service_keys"][0]["mlkem_seed"])) == 64
    assert len(base64.b64decode(fields["service_keys"][0]["x25519"])) == 32


def test_no_secret_in_any_text_form(fields: dict[str, Any]) -> None:
    """No text form of a keystore or its parts shows a root, a salt, a private key or a digest."""
    keystore = read(fields)
    (version,), (service_key,), (api_key,) = (
        keystore.key_versions,
        keystore.service_keys,
        keystore.api_keys,
    )
    secrets = [
        repr(value)
        for value in (
            version.root,
            service_key.mlkem_seed,
            service_key.x25519,
            api_key.digest,
            keystore.audit_key,
        )
    ]
    shown = f"{keystore!r} {keystore} {version!r} {service_key} {api_key!r}"
    assert not [secret for secret in secrets if secret in shown]
    assert not [salt for salt in version.salt_pool if salt in shown]
    assert "blake2b" not in shown


@pytest.mark.parametrize("value", ["canary", "Y2FuYXJ5", ["canary"], {"canary": 1}])
def test_no_input_in_a_validation_error(fields: dict[str, Any], value: object) -> None:
    """Pydantic's own error, which a debugger or a log may show, is silent about what came in."""
    change_version(root=value, salt_pool="canary")(fields)
    with pytest.raises(ValidationError) as caught:
        Keystore.model_validate_json(json.dumps(fields))
    shown = f"{caught.value!s} {caught.value!r}"
    assert "canary" not in shown
    assert "Y2FuYXJ5" not in shown


def test_keystore_is_frozen(keystore: Keystore) -> None:
    """A change is a new document."""
    with pytest.raises(ValidationError):
        keystore.primary = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"7",
        b"nonsense",
        b"\xff",
        b'{"format": "caas-keystore"}',
        b'{"format": 1}',
    ],
)
def test_other_content(raw: bytes) -> None:
    """Content that is no keystore is called that."""
    with pytest.raises(KeystoreError) as caught:
        document.decode(raw)
    assert str(caught.value) == "the file opens, but holds no keystore"
    assert caught.value.__context__ is None


def test_other_format(fields: dict[str, Any]) -> None:
    """A document of another format is no keystore."""
    assert refusal({**fields, "format": "other"}) == "the file opens, but holds no keystore"


def test_future_version(fields: dict[str, Any]) -> None:
    """A keystore of a later release is told apart, whatever else is in it."""
    future = {"format": "caas-keystore", "format_version": 2, "new": True}
    assert refusal(future) == (
        "the keystore has format version 2, this release reads up to 1: upgrade first"
    )


def change_version(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda fields: fields["key_versions"][0].update(changes)


def change_service_key(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda fields: fields["service_keys"][0].update(changes)


def change_api_key(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda fields: fields["api_keys"][0].update(changes)


def change_tenant(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda fields: fields["tenants"][0].update(changes)


def twice(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda fields: fields.update({name: fields[name] * 2})


def b64(length: int) -> str:
    return base64.b64encode(bytes(length)).decode()


POOL_REASON = "key_versions.0: a cipher pool is empty or names an algorithm that is not allowed"
LACKS_REASON = "key_versions.0: a key version lacks its root or its salt pool"
DESTROYED_REASON = "key_versions.0: a destroyed key version still holds its secret"
PRIMARY_REASON = "the primary key version is not an enabled one"
MINIMUM_REASON = "the primary key version is below a minimum version"
PENDING_REASON = "key_versions.0: a key version that is to be destroyed is not disabled"
ROTATED_REASON = "an API key was rotated to no other key"

SPOILT: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "two service keys": (twice("service_keys"), "two service keys have the same name"),
    "two key versions": (twice("key_versions"), "two key versions have the same name"),
    "two tenants": (twice("tenants"), "two tenants have the same name"),
    "two API keys": (twice("api_keys"), "two API keys have the same name"),
    "no such primary": (lambda f: f.update(primary=2), PRIMARY_REASON),
    "disabled primary": (change_version(state="disabled"), PRIMARY_REASON),
    "destroyed primary": (
        change_version(state="destroyed", root=None, salt_pool=[]),
        PRIMARY_REASON,
    ),
    "destroyed with root": (change_version(state="destroyed", salt_pool=[]), DESTROYED_REASON),
    "destroyed with salts": (change_version(state="destroyed", root=None), DESTROYED_REASON),
    "no root": (change_version(root=None), LACKS_REASON),
    "no salts": (change_version(salt_pool=[]), LACKS_REASON),
    "no ciphers": (change_version(cipher_pool=[]), POOL_REASON),
    "unknown cipher": (change_version(cipher_pool=["sha256", "crc32"]), POOL_REASON),
    "weak cipher": (change_version(cipher_pool=["sha256", "md5"]), POOL_REASON),
    "unknown cipher, weak allowed": (
        change_version(cipher_pool=["crc32"], allow_weak=True),
        POOL_REASON,
    ),
    "stranger's API key": (
        change_api_key(tenant="other"),
        "an API key belongs to no tenant",
    ),
    "minimum for making above the primary": (
        lambda f: f.update(minimum_making=2),
        MINIMUM_REASON,
    ),
    "minimum for checking above the primary": (
        lambda f: f.update(minimum_checking=2),
        MINIMUM_REASON,
    ),
    "enabled, yet to be destroyed": (change_version(destroy_at=9), PENDING_REASON),
    "destroyed, yet to be destroyed": (
        change_version(state="destroyed", root=None, salt_pool=[], destroy_at=9),
        PENDING_REASON,
    ),
    "only retired service keys": (
        change_service_key(retired_at=9),
        "every service key is retired",
    ),
    "rotated to a stranger": (change_api_key(rotated_to="zzzzzzzzzzzz"), ROTATED_REASON),
    "rotated to itself": (change_api_key(rotated_to=KEY["key_id"]), ROTATED_REASON),
    "unknown scope": (
        change_api_key(scopes=["encrypt", "fly"]),
        "api_keys.0: an API key has a scope that is no operation",
    ),
}


@pytest.mark.parametrize(("spoil", "reason"), SPOILT.values(), ids=SPOILT.keys())
def test_inconsistent_keystore(
    fields: dict[str, Any], spoil: Callable[[dict[str, Any]], None], reason: str
) -> None:
    """A keystore that does not hang together is refused, and the reason said."""
    spoil(fields)
    assert refusal(fields) == f"not a valid keystore: {reason}"


MALFORMED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "root too short": (change_version(root=b64(31)), "key_versions.0.root"),
    "root too long": (change_version(root=b64(33)), "key_versions.0.root"),
    "version 0": (change_version(version=0), "key_versions.0.version"),
    "version over 4 bytes": (change_version(version=2**32), "key_versions.0.version"),
    "unknown profile": (change_version(profile="canary"), "key_versions.0.profile"),
    "unknown state": (change_version(state="canary"), "key_versions.0.state"),
    "unknown field": (lambda f: f.update(extra="canary"), "extra"),
    "unknown field within": (change_version(extra="canary"), "key_versions.0.extra"),
    "short ML-KEM seed": (change_service_key(mlkem_seed=b64(63)), "service_keys.0.mlkem_seed"),
    "long ML-KEM seed": (change_service_key(mlkem_seed=b64(65)), "service_keys.0.mlkem_seed"),
    "short X25519": (change_service_key(x25519=b64(31)), "service_keys.0.x25519"),
    "long X25519": (change_service_key(x25519=b64(33)), "service_keys.0.x25519"),
    "short key id": (change_service_key(key_id="0" * 15), "service_keys.0.key_id"),
    "upper-case key id": (change_service_key(key_id="A" * 16), "service_keys.0.key_id"),
    "short digest": (change_api_key(digest=b64(31)), "api_keys.0.digest"),
    "long digest": (change_api_key(digest=b64(33)), "api_keys.0.digest"),
    "no recipients": (lambda f: f.update(recipients=[]), "recipients"),
    "no service keys": (lambda f: f.update(service_keys=[]), "service_keys"),
    "no key versions": (lambda f: f.update(key_versions=[]), "key_versions"),
    "short audit key": (lambda f: f.update(audit_key=b64(31)), "audit_key"),
    "long audit key": (lambda f: f.update(audit_key=b64(33)), "audit_key"),
    "minimum 0": (lambda f: f.update(minimum_making=0), "minimum_making"),
    "minimum over 4 bytes": (lambda f: f.update(minimum_checking=2**32), "minimum_checking"),
    "no guesses a minute": (change_tenant(guesses_per_minute=0), "tenants.0.guesses_per_minute"),
    "no guesses a day": (change_tenant(guesses_per_day=0), "tenants.0.guesses_per_day"),
    "too many guesses": (
        change_tenant(guesses_per_day=10**9 + 1),
        "tenants.0.guesses_per_day",
    ),
    "no requests a second": (change_api_key(requests_per_s=0), "api_keys.0.requests_per_s"),
    "negative time": (change_version(created_at=-1), "key_versions.0.created_at"),
    "time beyond": (change_version(created_at=2**40), "key_versions.0.created_at"),
}


@pytest.mark.parametrize(("spoil", "where"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_keystore(
    fields: dict[str, Any], spoil: Callable[[dict[str, Any]], None], where: str
) -> None:
    """A malformed field is named by its place, without its value."""
    spoil(fields)
    found = refusal(fields)
    assert found.startswith(f"not a valid keystore: {where}: ")
    assert "canary" not in found


@pytest.mark.parametrize("name", ["", "A", "-a", "_a", "a b", "a\0b", "a\n", "é", "a" * 64])
def test_tenant_names_refused(fields: dict[str, Any], name: str) -> None:
    """A tenant's name cannot hold what separates the parts of a key's derivation."""
    fields["tenants"].append({"name": name, "created_at": 1})
    assert refusal(fields).startswith("not a valid keystore: tenants.1.name: ")


@pytest.mark.parametrize("name", ["a", "0", "a-b_9", "a" * 63])
def test_tenant_names(fields: dict[str, Any], name: str) -> None:
    """A tenant's name is 1 to 63 lower-case letters, digits, hyphens and underlines."""
    fields["tenants"].append({"name": name, "created_at": 1})
    assert read(fields).tenants[1].name == name


def test_weak_cipher_when_allowed(fields: dict[str, Any]) -> None:
    """The weak algorithms are taken with the explicit permission."""
    change_version(cipher_pool=["md5", "sha1", "ripemd160"], allow_weak=True)(fields)
    assert read(fields).key_versions[0].cipher_pool == ("md5", "sha1", "ripemd160")


def test_classic_version_needs_no_ciphers(fields: dict[str, Any]) -> None:
    """The classic profile has its ciphers built in."""
    change_version(profile="classic", cipher_pool=[])(fields)
    assert read(fields).key_versions[0].profile is Profile.CLASSIC


def test_destroyed_version_stays_listed(fields: dict[str, Any]) -> None:
    """A destroyed version keeps its number, so that its values can be told from unknown ones."""
    gone = {**fields["key_versions"][0], "version": 2, "state": "destroyed", "root": None}
    fields["key_versions"].append({**gone, "salt_pool": []})
    assert read(fields).key_versions[1].state is State.DESTROYED


def test_largest_version(fields: dict[str, Any]) -> None:
    """A version's number fits the four bytes that a token has for it, the largest included."""
    change_version(version=2**32 - 1)(fields)
    assert read({**fields, "primary": 2**32 - 1}).primary == 4_294_967_295


def test_file_from_before_the_optional_fields(fields: dict[str, Any]) -> None:
    """A keystore that has none of the optional fields opens, and nothing is limited or pending."""
    for name in ("audit_key", "minimum_making", "minimum_checking"):
        del fields[name]
    del fields["service_keys"][0]["retired_at"]
    del fields["key_versions"][0]["destroy_at"]
    for name in ("guesses_per_minute", "guesses_per_day"):
        del fields["tenants"][0][name]
    keystore = read(fields)
    (version,), (tenant,), (key,) = keystore.key_versions, keystore.tenants, keystore.api_keys
    assert (keystore.audit_key, keystore.minimum_making, keystore.minimum_checking) == (None, 1, 1)
    assert (version.destroy_at, keystore.service_keys[0].retired_at) == (None, None)
    assert (tenant.guesses_per_minute, tenant.guesses_per_day) == (None, None)
    assert (key.requests_per_s, key.rotated_to) == (None, None)


def test_optional_fields_are_kept(fields: dict[str, Any]) -> None:
    """What the optional fields hold survives the JSON and a change of something else."""
    gone = {**fields["key_versions"][0], "version": 2, "state": "disabled", "destroy_at": 9}
    fields["key_versions"].append(gone)
    fields["service_keys"].append({**fields["service_keys"][0], "key_id": "0" * 16})
    change_service_key(retired_at=8)(fields)
    change_tenant(guesses_per_minute=5, guesses_per_day=10**9)(fields)
    fields["api_keys"].append({**KEY, "key_id": "next", "requests_per_s": 7})
    change_api_key(rotated_to="next")(fields)
    keystore = read(fields).changed(recipients=("age1x",))
    assert keystore.audit_key == base64.b64decode(fields["audit_key"])
    assert keystore.key_versions[1].destroy_at == 9
    assert keystore.service_keys[0].retired_at == 8
    assert (keystore.tenants[0].guesses_per_minute, keystore.tenants[0].guesses_per_day) == (
        5,
        10**9,
    )
    assert (keystore.api_keys[0].rotated_to, keystore.api_keys[1].requests_per_s) == ("next", 7)


@pytest.mark.parametrize("at", [0, 2**40 - 1])
def test_times_at_their_edges(fields: dict[str, Any], at: int) -> None:
    """Times are Unix seconds from 0 up to some 34,000 years."""
    change_version(created_at=at)(fields)
    assert read(fields).key_versions[0].created_at == at


def test_changed_is_checked_as_a_whole(keystore: Keystore) -> None:
    """A change that would make the keystore inconsistent is refused."""
    with pytest.raises(KeystoreError, match="the primary key version is not an enabled one"):
        keystore.changed(primary=9)
    assert keystore.changed(recipients=("age1x",)).recipients == ("age1x",)
    assert keystore.recipients == ("age1unused",)


def test_changed_checks_every_part(keystore: Keystore) -> None:
    """A record that was copied with a wrong field is refused, though its model let it pass."""
    spoilt = keystore.key_versions[0].model_copy(update={"created_at": -1})
    with pytest.raises(KeystoreError, match=r"key_versions\.0\.created_at"):
        keystore.changed(key_versions=(spoilt,))


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "now_s", "is_valid"),
    [
        (None, None, 1e12, True),
        (100, None, 99.999, True),
        (100, None, 100.0, False),
        (100, None, 100.001, False),
        (None, 50, 10.0, False),
        (None, 0, 10.0, False),
        (100, 50, 10.0, False),
    ],
)
def test_validity_of_an_api_key(
    fields: dict[str, Any],
    expires_at: int | None,
    revoked_at: int | None,
    now_s: float,
    is_valid: bool,
) -> None:
    """A key is valid until its expiry, and never once it is revoked."""
    change_api_key(expires_at=expires_at, revoked_at=revoked_at)(fields)
    assert read(fields).api_keys[0].is_valid_at(now_s) is is_valid


def test_parse_describes_what_is_no_object() -> None:
    """A value that is no object at all has no place to name."""
    with pytest.raises(KeystoreError, match=r"^not a valid keystore: Input should be") as caught:
        document.parse("canary")
    assert "canary" not in str(caught.value)
