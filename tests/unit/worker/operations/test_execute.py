"""Each operation on one item, over key versions of both profiles and in every state."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest

from caas_tasks.encoding import uuid_bytes
from caas_tasks.errors import KeyUnavailableError, ServiceUnavailableError
from caas_tasks.messages import parse_item
from caas_tasks.names import Operation
from worker.keyring import Keyring, TenantKeys
from worker.keystore.document import Keystore
from worker.operations import blind_index, classic, hardened, wrap
from worker.operations.derivation import derive
from worker.operations.digests import STRONG
from worker.operations.execute import execute
from worker.operations.means import Means

UUID = "4DBCBCFE-4800-40a8-badf-c26b73af230c"
DATA = "example sensitive data, é"
SALTS = ("first salt", "second salt", "third salt")


def root(version: int) -> bytes:
    return bytes([version]) * 32


def tenant(
    keystore: Keystore,
    versions: dict[int, str],
    primary: int,
    states: dict[int, str] | None = None,
) -> TenantKeys:
    """Tenant `shop` over key versions of the given profiles."""
    records = tuple(
        {
            "version": number,
            "profile": profile,
            "state": (states or {}).get(number, "enabled"),
            "root": base64.b64encode(root(number)),
            "cipher_pool": STRONG,
            "salt_pool": SALTS,
            "created_at": 1,
        }
        for number, profile in versions.items()
    )
    changed = keystore.changed(key_versions=records, primary=primary)
    return Keyring(changed).tenant("shop")


def hardened_value(version: int, data: str = DATA, name: str = "shop") -> str:
    select, pepper = (derive(root(version), name, purpose) for purpose in ("select", "pepper"))
    return hardened.encrypt(select, pepper, STRONG, SALTS, uuid_bytes(UUID), data.encode())


CLASSIC_VALUE = classic.encrypt(SALTS, UUID, DATA)


def wrapped(version: int, digest: str = CLASSIC_VALUE) -> str:
    return wrap.wrap(derive(root(version), "shop", "pepper"), uuid_bytes(UUID), digest)


def run(operation: Operation, keys: TenantKeys, **fields: Any) -> dict[str, Any]:
    return execute(operation, keys, parse_item(operation, fields), Means(os.urandom))


def verify(keys: TenantKeys, value: str, key_version: int | None = None, data: str = DATA) -> Any:
    """What `verify` answers: a pair of valid and needs_update."""
    answer = run(
        Operation.VERIFY,
        keys,
        userUUID=UUID,
        sensitiveData=data,
        encrypted_data=value,
        key_version=key_version,
    )
    assert answer.keys() == {"valid", "needs_update"}
    return answer["valid"], answer["needs_update"]


HARDENED_3 = {1: "hardened", 2: "hardened", 3: "hardened"}
MIXED = {1: "classic", 2: "hardened"}


@pytest.mark.parametrize("primary", [1, 2, 3])
def test_encrypt_uses_the_primary_version(keystore: Keystore, primary: int) -> None:
    """New values are the primary version's, whether or not it is the newest."""
    keys = tenant(keystore, HARDENED_3, primary)
    assert run(Operation.ENCRYPT, keys, userUUID=UUID, sensitiveData=DATA) == {
        "encrypted_data": hardened_value(primary),
        "key_version": primary,
    }


def test_encrypt_in_the_classic_profile(keystore: Keystore) -> None:
    """A classic primary makes the existing service's values, its UUID's case and all."""
    keys = tenant(keystore, MIXED, 1)
    assert run(Operation.ENCRYPT, keys, userUUID=UUID, sensitiveData=DATA) == {
        "encrypted_data": CLASSIC_VALUE,
        "key_version": 1,
    }
    assert classic.encrypt(SALTS, UUID.lower(), DATA) != CLASSIC_VALUE


def test_hardened_values_ignore_the_case_of_a_uuid(keystore: Keystore) -> None:
    """Two spellings of one UUID are one user."""
    keys = tenant(keystore, HARDENED_3, 1)
    upper, lower = (
        run(Operation.ENCRYPT, keys, userUUID=text, sensitiveData=DATA)
        for text in (UUID.upper(), UUID.lower())
    )
    assert upper == lower


def test_candidates_are_all_enabled_versions(keystore: Keystore) -> None:
    """Candidates come newest first, the primary in its place, the disabled one left out."""
    versions = {2: "hardened", 1: "classic", 4: "hardened", 3: "hardened"}
    keys = tenant(keystore, versions, 2, {3: "disabled"})
    assert run(Operation.CANDIDATES, keys, userUUID=UUID, sensitiveData=DATA) == {
        "candidates": [
            {"encrypted_data": hardened_value(4), "key_version": 4},
            {"encrypted_data": hardened_value(2), "key_version": 2},
            {"encrypted_data": CLASSIC_VALUE, "key_version": 1},
        ]
    }


def test_blind_indexes_are_all_enabled_versions(keystore: Keystore) -> None:
    """Indexes come newest first, each under its version's own key for the field."""
    keys = tenant(keystore, HARDENED_3, 1, {2: "disabled"})
    assert run(Operation.BLIND_INDEX, keys, field="émail", value="é@x") == {
        "indexes": [
            {
                "index": blind_index.blind_index(
                    derive(root(number), "shop", "index", "émail".encode()), "é@x"
                ),
                "key_version": number,
            }
            for number in (3, 1)
        ]
    }


def test_fields_have_indexes_of_their_own(keystore: Keystore) -> None:
    """Equal values in two columns have different indexes."""
    keys = tenant(keystore, HARDENED_3, 1)
    email, phone = (
        run(Operation.BLIND_INDEX, keys, field=name, value="7") for name in ("email", "phone")
    )
    assert email != phone


@pytest.mark.parametrize("primary", [1, 2])
def test_wrap_uses_the_primary_version(keystore: Keystore, primary: int) -> None:
    """Wrapping is under the primary version's root, whatever its profile."""
    keys = tenant(keystore, MIXED, primary)
    assert run(Operation.WRAP, keys, userUUID=UUID, legacyDigest="aB$1") == {
        "wrapped": wrapped(primary, "aB$1"),
        "key_version": primary,
    }


def test_verify_under_the_primary(keystore: Keystore) -> None:
    """The primary's own value is valid and needs nothing, with the version named or not."""
    keys = tenant(keystore, HARDENED_3, 2)
    assert verify(keys, hardened_value(2)) == (True, False)
    assert verify(keys, hardened_value(2), 2) == (True, False)
    assert verify(keys, hardened_value(2).upper()) == (True, False)


@pytest.mark.parametrize("other", [1, 3])
def test_verify_under_another_version(keystore: Keystore, other: int) -> None:
    """A value of another enabled version is valid and wants an update."""
    keys = tenant(keystore, HARDENED_3, 2)
    assert verify(keys, hardened_value(other)) == (True, True)
    assert verify(keys, hardened_value(other), other) == (True, True)


@pytest.mark.parametrize("key_version", [None, 1, 2])
def test_verify_of_wrong_data(keystore: Keystore, key_version: int | None) -> None:
    """Other data is not valid and wants no update."""
    keys = tenant(keystore, MIXED, 2)
    for value in (hardened_value(2), CLASSIC_VALUE, wrapped(2), wrapped(1), "ab" * 48):
        assert verify(keys, value, key_version, "other data") == (False, False)


def test_verify_of_the_version_named_alone(keystore: Keystore) -> None:
    """With a version named no other is tried."""
    keys = tenant(keystore, HARDENED_3, 2)
    assert verify(keys, hardened_value(1), 2) == (False, False)


@pytest.mark.parametrize("state", ["disabled", None])
def test_verify_of_a_version_that_is_not_enabled(keystore: Keystore, state: str | None) -> None:
    """A version that is disabled or not known is an error, not a mismatch."""
    states = {1: state} if state else {}
    keys = tenant(keystore, HARDENED_3, 2, states)
    with pytest.raises(KeyUnavailableError if state else ServiceUnavailableError):
        verify(keys, hardened_value(1), 1 if state else 4)
    if state:
        assert verify(keys, hardened_value(1)) == (False, False)


def test_verify_of_another_tenant_s_value(keystore: Keystore) -> None:
    """A tenant's values mean nothing under another tenant's keys."""
    keys = tenant(keystore, HARDENED_3, 2)
    assert verify(keys, hardened_value(2, name="clinic")) == (False, False)


def test_classic_value_moves_to_hardened(keystore: Keystore) -> None:
    """A classic value is valid and wants an update once the primary is hardened."""
    keys = tenant(keystore, MIXED, 2)
    assert verify(keys, CLASSIC_VALUE) == (True, True)
    assert verify(keys, CLASSIC_VALUE, 1) == (True, True)
    assert verify(keys, CLASSIC_VALUE, 2) == (False, False)


def test_hardened_value_never_moves_to_classic(keystore: Keystore) -> None:
    """With a classic primary a hardened value wants no update: it would become weaker."""
    assert verify(tenant(keystore, MIXED, 1), hardened_value(2)) == (True, False)


def test_classic_value_moves_between_classic_versions(keystore: Keystore) -> None:
    """Between two classic versions an update weakens nothing and is asked for."""
    keys = tenant(keystore, {1: "classic", 2: "classic"}, 1)
    assert verify(keys, CLASSIC_VALUE, 2) == (True, True)
    assert verify(keys, CLASSIC_VALUE, 1) == (True, False)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("is_named", [True, False])
def test_wrapped_value(keystore: Keystore, version: int, is_named: bool) -> None:
    """A wrapped classic value is valid under the version that wrapped it, and wants an update."""
    keys = tenant(keystore, MIXED, 2)
    assert verify(keys, wrapped(version), version if is_named else None) == (True, True)


def test_wrapped_value_under_another_version(keystore: Keystore) -> None:
    """With a version named, a wrap under another one is not valid."""
    assert verify(tenant(keystore, MIXED, 2), wrapped(1), 2) == (False, False)


def test_wrapped_value_never_moves_to_classic(keystore: Keystore) -> None:
    """With a classic primary a wrapped value wants no update: it would become weaker."""
    keys = tenant(keystore, MIXED, 1)
    assert verify(keys, wrapped(1)) == (True, False)
    assert verify(keys, wrapped(2)) == (True, False)


def test_wrapped_value_without_classic_version(keystore: Keystore) -> None:
    """Without an enabled classic version the legacy digest can't be recomputed."""
    keys = tenant(keystore, MIXED, 2, {1: "disabled"})
    assert verify(keys, wrapped(2)) == (False, False)


def test_double_wrap_is_not_valid(keystore: Keystore) -> None:
    """A value that was wrapped twice by mistake is no stored value."""
    assert verify(tenant(keystore, MIXED, 2), wrapped(2, wrapped(2))) == (False, False)
