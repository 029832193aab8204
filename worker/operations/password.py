"""Passwords: a keyed prehash, then Argon2id (docs/spec.md, section 5).

A thief of a main server's database can test no guess: the prehash is keyed with what only workers
hold. Passwords are bytes of UTF-8 as they come: neither normalised nor cut.
"""

from __future__ import annotations

import hmac
from typing import Any, Final

from caas_tasks.encoding import uuid_bytes
from caas_tasks.errors import InvalidRequestError, ServiceUnavailableError
from caas_tasks.items import HashPasswordItem, PasswordItem, VerifyPasswordItem
from caas_tasks.names import Field
from caas_tasks.stored_forms import (
    DEFAULT_ARGON2_PROFILE,
    PASSWORD_DIGEST_BYTES,
    PASSWORD_PROFILES,
    PASSWORD_SALT_BYTES,
    Argon2Parameters,
    PasswordHash,
    parse_password_hash,
)
from worker.operations.argon2id import argon2id
from worker.operations.keys import TenantKeys, VersionKeys
from worker.operations.means import Means, PasswordRoom

# A stored string is written by whoever can write to a main server's database: its costs are held
# to these before any work. RFC 9106, section 4, recommends at most 2 GiB (t=1) or t=3 (64 MiB).
MAX_MEMORY_KIB: Final = 2 * 1024 * 1024
MAX_TIME_COST: Final = 16
MAX_PARALLELISM: Final = 16
MAX_WORK_KIB: Final = 2 * MAX_MEMORY_KIB
"""Largest product of memory and passes: some twenty times the work of a default hash."""
STORED_FACTOR: Final = 4
"""How many times the tenant's or the default profile a stored string may cost, the larger counts.

The worker's memory is every tenant's: one stored string must not take all of it."""


def prehash(password_key: bytes, uuid: bytes, password: bytes) -> bytes:
    """HMAC-SHA384 of user and password; 48 bytes.

    Args:
        password_key: `K("password")`, 32 bytes.
        uuid: the user's UUID, 16 bytes: of fixed length, so that no two inputs collide.
        password: UTF-8.
    """
    return hmac.digest(password_key, uuid + password, "sha384")


def is_affordable(cost: Argon2Parameters, room: PasswordRoom) -> bool:
    """Whether these costs are within what Argon2, the caps and this worker's memory allow."""
    return (
        8 * cost.parallelism <= cost.memory_kib <= MAX_MEMORY_KIB
        and cost.time_cost <= MAX_TIME_COST
        and cost.parallelism <= MAX_PARALLELISM
        and cost.memory_kib * cost.time_cost <= MAX_WORK_KIB
        and room.allows(cost.memory_kib)
    )


def may_ask(cost: Argon2Parameters, own: Argon2Parameters) -> bool:
    """Whether a stored string may ask for these costs, by its tenant's own and by the default."""
    profiles = own, PASSWORD_PROFILES[DEFAULT_ARGON2_PROFILE]
    memory_kib = max(profile.memory_kib for profile in profiles)
    work_kib = max(profile.memory_kib * profile.time_cost for profile in profiles)
    return (
        cost.memory_kib <= STORED_FACTOR * memory_kib
        and cost.memory_kib * cost.time_cost <= STORED_FACTOR * work_kib
    )


def hash_password(tenant: TenantKeys, item: HashPasswordItem, means: Means) -> dict[str, Any]:
    """A new hash under the primary version."""
    return {Field.HASH: _new_hash(tenant, item, means)}


def verify_password(tenant: TenantKeys, item: VerifyPasswordItem, means: Means) -> dict[str, Any]:
    """Whether a password is right, and the new hash when one is due.

    Raises:
        InvalidRequestError: the stored hash is of another form, or its costs are over the caps.
        KeyUnavailableError: its key version is not enabled.
    """
    if item.stored_hash is None:
        # The same work for nothing: who is absent can't be told from who is present by the time.
        _new_hash(tenant, item, means)
        return {Field.VALID: False, Field.NEEDS_UPDATE: False}
    stored = parse_password_hash(item.stored_hash)
    if stored is None:
        raise InvalidRequestError("hash is not of the expected form.")
    cost = stored.parameters
    if not (may_ask(cost, tenant.password_parameters) and is_affordable(cost, means.password_room)):
        raise InvalidRequestError("hash asks for more work than is allowed.")
    keys = tenant.at(stored.key_version)
    found = _digest(keys, item, stored.salt, cost, means)
    if not hmac.compare_digest(found, stored.digest):
        return {Field.VALID: False, Field.NEEDS_UPDATE: False}
    if keys.version == tenant.primary.version and cost == tenant.password_parameters:
        return {Field.VALID: True, Field.NEEDS_UPDATE: False}
    new_hash = _new_hash(tenant, item, means)
    return {Field.VALID: True, Field.NEEDS_UPDATE: True, Field.HASH: new_hash}


def _new_hash(tenant: TenantKeys, item: PasswordItem, means: Means) -> str:
    keys, cost = tenant.primary, tenant.password_parameters
    if not is_affordable(cost, means.password_room):
        raise ServiceUnavailableError("A worker lacks the memory that the password profile takes.")
    salt = means.random_bytes(PASSWORD_SALT_BYTES)
    return PasswordHash(cost, keys.version, salt, _digest(keys, item, salt, cost, means)).to_text()


def _digest(
    keys: VersionKeys, item: PasswordItem, salt: bytes, cost: Argon2Parameters, means: Means
) -> bytes:
    secret = prehash(keys.password, uuid_bytes(item.user_uuid), item.password.encode())
    with means.password_room.reserve(cost.memory_kib, cost.parallelism) as threads:
        return argon2id(secret, salt, cost, PASSWORD_DIGEST_BYTES, threads)
