"""A keystore made ready for use: private keys, indexes and derived keys, all in memory.

A keyring never changes; a new keystore makes a new keyring, so that revoked keys, removed service
keys and their cached sessions go in one step.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey

from caas_tasks.envelope import SessionKeys, unwrap_session
from caas_tasks.errors import (
    KeyUnavailableError,
    ServiceUnavailableError,
    UnreadableMessageError,
)
from caas_tasks.stored_forms import DEFAULT_ARGON2_PROFILE, PASSWORD_PROFILES
from worker.keystore.document import (
    ApiKey,
    Keystore,
    KeyVersion,
    Profile,
    ServiceKey,
    State,
    Tenant,
)
from worker.operations.derivation import derive

MAX_SESSIONS: Final = 4_096
"""Opened sessions that are kept, the least recently used go first; about 6 MiB when full."""

UNKNOWN_VERSION_RETRY_S: Final = 1.0
"""When to ask again for a key version that is not known here: files take a moment to spread."""

_MAX_INDEX_KEYS: Final = 1_024


class UnknownVersionError(ServiceUnavailableError):
    """A key version that this worker's keystore has no record of: perhaps its file is older."""

    default_message = "This worker does not know the key version yet."


class VersionKeys:
    """One enabled key version as one tenant uses it, its derived keys computed once."""

    __slots__ = ("_index_keys", "_password", "_root", "_tenant", "cipher_pool", "is_classic",
                 "pepper", "salt_pool", "select", "version")  # fmt: skip

    def __init__(self, record: KeyVersion, tenant: str) -> None:
        if record.root is None:
            raise KeyUnavailableError
        self.version = record.version
        self.is_classic = record.profile is Profile.CLASSIC
        self.cipher_pool = record.cipher_pool
        self.salt_pool = record.salt_pool
        self.select = derive(record.root, tenant, "select")
        self.pepper = derive(record.root, tenant, "pepper")
        self._root = record.root
        self._tenant = tenant
        self._index_keys: dict[str, bytes] = {}
        self._password: bytes | None = None

    @property
    def password(self) -> bytes:
        """`K("password")`, derived at its first use."""
        if self._password is None:
            self._password = derive(self._root, self._tenant, "password")
        return self._password

    def index_key(self, field_name: str) -> bytes:
        """`K("index", field)`. Few fields exist, so their keys are kept, up to a bound."""
        key = self._index_keys.get(field_name)
        if key is None:
            key = derive(self._root, self._tenant, "index", field_name.encode())
            if len(self._index_keys) < _MAX_INDEX_KEYS:
                self._index_keys[field_name] = key
        return key

    def seal_key(self, uuid: bytes) -> bytes:
        """`K("seal", uuid)`. Not kept: users are many, and it costs microseconds."""
        return derive(self._root, self._tenant, "seal", uuid)


class TenantKeys:
    """The key versions as one tenant uses them.

    Attributes:
        name: the tenant's.
        enabled: the versions whose values are checked, newest first: those that are enabled and not
            below the minimum.
        legacy: the enabled classic versions, newest first. A minimum leaves them in: a wrapped
            value counts as its wrap's version, whatever the version of the digest inside.
        password_parameters: what new password hashes cost.
        primary: the version that makes new values.
    """

    __slots__ = ("_by_version", "_known", "enabled", "legacy", "name", "password_parameters",
                 "primary")  # fmt: skip

    def __init__(self, keystore: Keystore, tenant: str) -> None:
        records = sorted(keystore.key_versions, key=lambda record: -record.version)
        self.name = tenant
        profiles = {record.name: record.password_profile for record in keystore.tenants}
        self.password_parameters = PASSWORD_PROFILES[profiles.get(tenant, DEFAULT_ARGON2_PROFILE)]
        usable = [
            VersionKeys(record, tenant) for record in records if record.state is State.ENABLED
        ]
        self.enabled = tuple(keys for keys in usable if keys.version >= keystore.minimum_checking)
        self.legacy = tuple(keys for keys in usable if keys.is_classic)
        self._by_version = {keys.version: keys for keys in self.enabled}
        self._known = frozenset(record.version for record in records)
        self.primary = self._by_version[keystore.primary]

    def at(self, version: int) -> VersionKeys:
        """One version whose values are checked.

        Raises:
            KeyUnavailableError: disabled, destroyed or below the minimum for checking.
            UnknownVersionError: no record of it here.
        """
        keys = self._by_version.get(version)
        if keys is not None:
            return keys
        if version in self._known or version < 1:
            raise KeyUnavailableError
        raise UnknownVersionError(retry_after_s=UNKNOWN_VERSION_RETRY_S)


class Keyring:
    """All that a worker needs of a keystore."""

    def __init__(self, keystore: Keystore) -> None:
        self._keystore = keystore
        self._private_keys = {
            bytes.fromhex(key.key_id): _private_key(key) for key in keystore.service_keys
        }
        self._api_keys = {key.key_id: key for key in keystore.api_keys}
        self._tenants: dict[str, TenantKeys] = {}
        self._tenant_records = {tenant.name: tenant for tenant in keystore.tenants}
        self._sessions: OrderedDict[tuple[bytes, bytes], SessionKeys] = OrderedDict()
        # Threads of one worker share the sessions: one must not drop what another has just found.
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Keyring(primary={self._keystore.primary}, api_keys={len(self._api_keys)})"

    @property
    def primary(self) -> int:
        """The primary key version's number."""
        return self._keystore.primary

    @property
    def enabled_versions(self) -> int:
        """How many key versions are enabled."""
        return sum(record.state is State.ENABLED for record in self._keystore.key_versions)

    @property
    def session_count(self) -> int:
        """How many opened sessions are kept."""
        return len(self._sessions)

    def api_key(self, key_id: str) -> ApiKey | None:
        """The record of an API key, or None."""
        return self._api_keys.get(key_id)

    @property
    def audit_key(self) -> bytes | None:
        """What the audit log's chain and the names of users in it are keyed with."""
        return self._keystore.audit_key

    def tenant_record(self, name: str) -> Tenant:
        """A tenant's own limits; of a name that some API key has."""
        return self._tenant_records[name]

    def tenant(self, name: str) -> TenantKeys:
        """The tenant's derived keys, computed at its first request."""
        keys = self._tenants.get(name)
        if keys is None:
            keys = self._tenants[name] = TenantKeys(self._keystore, name)
        return keys

    def has_service_key(self, key_id: bytes) -> bool:
        """Whether sessions wrapped to this service key can be opened."""
        return key_id in self._private_keys

    def session(self, key_id: bytes, wrapped: bytes) -> SessionKeys:
        """The keys of a client's session, from memory or by opening the wrapped secret.

        Raises:
            UnreadableMessageError: no such service key, or the secret does not open.
        """
        name = (key_id, wrapped)
        with self._lock:
            keys = self._sessions.get(name)
            if keys is not None:
                self._sessions.move_to_end(name)
                return keys
        private_key = self._private_keys.get(key_id)
        if private_key is None:
            raise UnreadableMessageError
        keys = unwrap_session(private_key, wrapped)
        with self._lock:
            self._sessions[name] = keys
            if len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
        return keys


def _private_key(key: ServiceKey) -> MLKEM768X25519PrivateKey:
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(key.mlkem_seed),
        X25519PrivateKey.from_private_bytes(key.x25519),
    )
