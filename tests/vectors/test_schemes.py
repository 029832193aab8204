"""The schemes' results against those of a separate implementation: see SOURCES.md."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from caas_tasks.encoding import uuid_bytes
from caas_tasks.messages import parse_item
from caas_tasks.names import Operation
from worker.keyring import VersionKeys
from worker.keystore.document import KeyVersion
from worker.operations import blind_index, hardened, wrap
from worker.operations.execute import execute

DATA: dict[str, Any] = json.loads(Path(__file__).with_name("schemes.json").read_text())


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
    return SimpleNamespace(primary=keys, enabled=(keys,), at=lambda version: keys)


def test_nothing_is_missing() -> None:
    """The file has all the entries that SOURCES.md says."""
    assert {name: len(DATA[name]) for name in ("hardened", "wrap", "blindIndex")} == {
        "hardened": 60,
        "wrap": 20,
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
    answer = execute(Operation.ENCRYPT, tenant, parse_item(Operation.ENCRYPT, raw))
    assert answer == {"encrypted_data": entry["encrypted_data"], "key_version": DATA["keyVersion"]}


@entries("hardened")
def test_verify(tenant: Any, entry: dict[str, Any]) -> None:
    """`verify` finds the other implementation's value valid."""
    raw = {name: entry[name] for name in ("userUUID", "sensitiveData", "encrypted_data")}
    answer = execute(Operation.VERIFY, tenant, parse_item(Operation.VERIFY, raw))
    assert answer == {"valid": True, "needs_update": False}


@entries("wrap")
def test_wrap(tenant: Any, entry: dict[str, Any]) -> None:
    """`wrap` gives the other implementation's value."""
    raw = {"userUUID": entry["userUUID"], "legacyDigest": entry["legacyDigest"]}
    answer = execute(Operation.WRAP, tenant, parse_item(Operation.WRAP, raw))
    assert answer == {"wrapped": entry["wrapped"], "key_version": DATA["keyVersion"]}
    user = uuid_bytes(entry["userUUID"])
    assert wrap.wrap(tenant.primary.pepper, user, entry["legacyDigest"]) == entry["wrapped"]


@entries("blindIndex")
def test_blind_index(tenant: Any, entry: dict[str, Any]) -> None:
    """`blind_index` gives the other implementation's value."""
    raw = {"field": entry["field"], "value": entry["value"]}
    answer = execute(Operation.BLIND_INDEX, tenant, parse_item(Operation.BLIND_INDEX, raw))
    assert answer == {"indexes": [{"index": entry["index"], "key_version": DATA["keyVersion"]}]}
    index_key = tenant.primary.index_key(entry["field"])
    assert blind_index.blind_index(index_key, entry["value"]) == entry["index"]
