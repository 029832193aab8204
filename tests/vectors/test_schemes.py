"""The schemes' results against those of a separate implementation: see SOURCES.md."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from caas_tasks.encoding import uuid_bytes
from caas_tasks.messages import parse_item
from caas_tasks.names import Operation
from caas_tasks.stored_forms import PASSWORD_PROFILES
from worker.keyring import VersionKeys
from worker.keystore.document import KeyVersion
from worker.operations import blind_index, hardened, password, wrap
from worker.operations.execute import execute
from worker.operations.means import Means

DATA: dict[str, Any] = json.loads(Path(__file__).with_name("schemes.json").read_text())

SCHEMES = ("hardened", "wrap", "seal", "passwordPrehash", "blindIndex")


def entries(name: str) -> Any:
    """The entries of one scheme, numbered."""
    return pytest.mark.parametrize("entry", DATA[name], ids=range(len(DATA[name])))


@pytest.fixture(scope="module")
def keys() -> VersionKeys:
    """The key version that every entry was made under."""
    record = KeyVersion.model_construct(
        version=DATA["keyVersion"],
        profile="hardened",
        root=bytes.fromhex(DATA["root"]),
        cipher_pool=tuple(DATA["cipherPool"]),
        salt_pool=tuple(DATA["saltPool"]),
    )
    return VersionKeys(record, DATA["tenant"])


@pytest.fixture(scope="module")
def tenant(keys: VersionKeys) -> Any:
    return SimpleNamespace(
        name=DATA["tenant"],
        primary=keys,
        enabled=(keys,),
        legacy=(),
        password_parameters=PASSWORD_PROFILES["cheapest"],
        at=lambda version: keys,
    )


def run(
    operation: Operation,
    tenant: Any,
    raw: dict[str, Any],
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> dict[str, Any]:
    """The answer to one item, with chosen randomness."""
    return execute(operation, tenant, parse_item(operation, raw), Means(random_bytes))


def test_nothing_is_missing() -> None:
    """The file has all the entries that SOURCES.md says."""
    assert {name: len(DATA[name]) for name in SCHEMES} == {
        "hardened": 60,
        "wrap": 20,
        "seal": 20,
        "passwordPrehash": 20,
        "blindIndex": 20,
    }


@entries("hardened")
def test_selection(keys: VersionKeys, entry: dict[str, Any]) -> None:
    """The user's cipher and salt are those of the other implementation."""
    cipher, salt = hardened.select(
        keys.select, uuid_bytes(entry["userUUID"]), len(keys.cipher_pool), len(keys.salt_pool)
    )
    assert (keys.cipher_pool[cipher], salt) == (entry["cipher"], entry["saltIndex"])


@entries("hardened")
def test_encrypt(tenant: Any, entry: dict[str, Any]) -> None:
    """`encrypt` gives the other implementation's value."""
    raw = {"userUUID": entry["userUUID"], "sensitiveData": entry["sensitiveData"]}
    answer = run(Operation.ENCRYPT, tenant, raw)
    assert answer == {"encrypted_data": entry["encrypted_data"], "key_version": DATA["keyVersion"]}


@entries("hardened")
def test_verify(tenant: Any, entry: dict[str, Any]) -> None:
    """`verify` finds the other implementation's value valid."""
    raw = {name: entry[name] for name in ("userUUID", "sensitiveData", "encrypted_data")}
    answer = run(Operation.VERIFY, tenant, raw)
    assert answer == {"valid": True, "needs_update": False}


@entries("wrap")
def test_wrap(tenant: Any, entry: dict[str, Any]) -> None:
    """`wrap` gives the other implementation's value."""
    raw = {"userUUID": entry["userUUID"], "legacyDigest": entry["legacyDigest"]}
    answer = run(Operation.WRAP, tenant, raw)
    assert answer == {"wrapped": entry["wrapped"], "key_version": DATA["keyVersion"]}
    user = uuid_bytes(entry["userUUID"])
    assert wrap.wrap(tenant.primary.pepper, user, entry["legacyDigest"]) == entry["wrapped"]


@entries("blindIndex")
def test_blind_index(tenant: Any, entry: dict[str, Any]) -> None:
    """`blind_index` gives the other implementation's value."""
    raw = {"field": entry["field"], "value": entry["value"]}
    answer = run(Operation.BLIND_INDEX, tenant, raw)
    assert answer == {"indexes": [{"index": entry["index"], "key_version": DATA["keyVersion"]}]}
    index_key = tenant.primary.index_key(entry["field"])
    assert blind_index.blind_index(index_key, entry["value"]) == entry["index"]


def sealed_fields(entry: dict[str, Any]) -> dict[str, Any]:
    """User and context of an entry, as they stand in an item."""
    context = base64.b64encode(bytes.fromhex(entry["contextHex"])).decode()
    return {"userUUID": entry["userUUID"], "context": context}


@entries("seal")
def test_seal(tenant: Any, entry: dict[str, Any]) -> None:
    """`seal` gives the other implementation's token, when it draws the same message salt."""
    plaintext = base64.b64encode(bytes.fromhex(entry["plaintextHex"])).decode()
    raw = {**sealed_fields(entry), "plaintext": plaintext}
    salt = bytes.fromhex(entry["saltHex"])
    answer = run(Operation.SEAL, tenant, raw, {32: salt}.__getitem__)
    assert answer == {"token": entry["token"]}


@entries("seal")
def test_open(tenant: Any, entry: dict[str, Any]) -> None:
    """`open` gives the plaintext of the other implementation's token."""
    answer = run(Operation.OPEN, tenant, {**sealed_fields(entry), "token": entry["token"]})
    assert base64.b64decode(answer["plaintext"]).hex() == entry["plaintextHex"]


@entries("passwordPrehash")
def test_password_prehash(keys: VersionKeys, entry: dict[str, Any]) -> None:
    """What Argon2id is run over is the other implementation's."""
    found = password.prehash(
        keys.password, uuid_bytes(entry["userUUID"]), entry["password"].encode()
    )
    assert found.hex() == entry["prehashHex"]
