"""Each operation on one item, with a tenant's keys (docs/spec.md, section 5)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Final

from caas_tasks.encoding import uuid_bytes
from caas_tasks.items import (
    BlindIndexItem,
    CandidatesItem,
    EncryptItem,
    Item,
    SensitiveItem,
    VerifyItem,
    WrapItem,
)
from caas_tasks.names import Field, Operation
from worker.operations import blind_index, classic, hardened, password, seal, wrap
from worker.operations.keys import TenantKeys, VersionKeys
from worker.operations.means import Means


def _value(keys: VersionKeys, item: SensitiveItem) -> str:
    if keys.is_classic:
        return classic.encrypt(keys.salt_pool, item.user_uuid, item.sensitive_data)
    return hardened.encrypt(
        keys.select,
        keys.pepper,
        keys.cipher_pool,
        keys.salt_pool,
        uuid_bytes(item.user_uuid),
        item.sensitive_data.encode(),
    )


def _versioned(keys: VersionKeys, item: SensitiveItem) -> dict[str, Any]:
    return {Field.ENCRYPTED_DATA: _value(keys, item), Field.KEY_VERSION: keys.version}


def _encrypt(tenant: TenantKeys, item: EncryptItem, _means: Means) -> dict[str, Any]:
    return _versioned(tenant.primary, item)


def _candidates(tenant: TenantKeys, item: CandidatesItem, _means: Means) -> dict[str, Any]:
    return {Field.CANDIDATES: [_versioned(keys, item) for keys in tenant.enabled]}


def _verify(tenant: TenantKeys, item: VerifyItem, _means: Means) -> dict[str, Any]:
    versions = tenant.enabled if item.key_version is None else (tenant.at(item.key_version),)
    stored = item.encrypted_data.lower()
    primary = tenant.primary
    for keys in versions:
        if hmac.compare_digest(_value(keys, item), stored):
            return _valid(needs_update=keys is not primary and not _is_downgrade(keys, primary))
    # A wrapped value: the legacy digest is a classic one, the wrap is under the version asked for.
    legacy_digests = [_value(keys, item) for keys in tenant.legacy]
    for keys in versions:
        for legacy_digest in legacy_digests:
            wrapped = wrap.wrap(keys.pepper, uuid_bytes(item.user_uuid), legacy_digest)
            if hmac.compare_digest(wrapped, stored):
                # An update makes the primary's own value: never ask for one that is weaker.
                return _valid(needs_update=not primary.is_classic)
    return {Field.VALID: False, Field.NEEDS_UPDATE: False}


def _is_downgrade(matched: VersionKeys, primary: VersionKeys) -> bool:
    return primary.is_classic and not matched.is_classic


def _valid(*, needs_update: bool) -> dict[str, Any]:
    return {Field.VALID: True, Field.NEEDS_UPDATE: needs_update}


def _blind_index(tenant: TenantKeys, item: BlindIndexItem, _means: Means) -> dict[str, Any]:
    return {
        Field.INDEXES: [
            {
                "index": blind_index.blind_index(keys.index_key(item.field_name), item.value),
                Field.KEY_VERSION: keys.version,
            }
            for keys in tenant.enabled
        ]
    }


def _wrap(tenant: TenantKeys, item: WrapItem, _means: Means) -> dict[str, Any]:
    keys = tenant.primary
    wrapped = wrap.wrap(keys.pepper, uuid_bytes(item.user_uuid), item.legacy_digest)
    return {Field.WRAPPED: wrapped, Field.KEY_VERSION: keys.version}


_OPERATIONS: Final[dict[Operation, Callable[[TenantKeys, Any, Means], dict[str, Any]]]] = {
    Operation.ENCRYPT: _encrypt,
    Operation.VERIFY: _verify,
    Operation.CANDIDATES: _candidates,
    Operation.BLIND_INDEX: _blind_index,
    Operation.WRAP: _wrap,
    Operation.HASH_PASSWORD: password.hash_password,
    Operation.VERIFY_PASSWORD: password.verify_password,
    Operation.SEAL: seal.seal,
    Operation.OPEN: seal.open_item,
    Operation.REWRAP: seal.rewrap,
}


def execute(operation: Operation, tenant: TenantKeys, item: Item, means: Means) -> dict[str, Any]:
    """The answer to one item.

    Raises:
        KeyUnavailableError: the item names a key version whose values are not checked.
        InvalidRequestError: a stored password hash is of another form or over the caps.
        UndecryptableError: a token is not authentic for this user and context.
        ServiceUnavailableError: the item names a key version that is not known here.
    """
    return _OPERATIONS[operation](tenant, item, means)
