"""What a keystore holds, as frozen models that refuse an inconsistent whole.

Secret fields are left out of every `repr` and of validation errors.
"""

from __future__ import annotations

import base64
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import (
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from caas_tasks.names import SCOPES
from caas_tasks.stored_forms import DEFAULT_ARGON2_PROFILE, PasswordProfile
from worker.keystore.errors import KeystoreError
from worker.operations.derivation import ROOT_BYTES
from worker.operations.digests import STRONG, WEAK

FORMAT: Final = "caas-keystore"
FORMAT_VERSION: Final = 1
MLKEM_SEED_BYTES: Final = 64  # FIPS 203: d || z
X25519_BYTES: Final = 32
API_KEY_DIGEST_BYTES: Final = 32
AUDIT_KEY_BYTES: Final = 32

TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
UnixSeconds = Annotated[int, Field(ge=0, lt=2**40)]
VersionNumber = Annotated[int, Field(ge=1, le=2**32 - 1)]
Limit = Annotated[int, Field(ge=1, le=10**9)]


class Profile(StrEnum):
    """How `encrypt` computes under a key version."""

    HARDENED = "hardened"
    CLASSIC = "classic"


class State(StrEnum):
    """Where a key version is in its life."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DESTROYED = "destroyed"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ServiceKey(_Record):
    """A service key pair: main servers wrap session secrets to its public half.

    Attributes:
        retired_at: since when main servers are no longer given it; it still opens messages.
    """

    key_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    mlkem_seed: Annotated[
        Base64Bytes, Field(min_length=MLKEM_SEED_BYTES, max_length=MLKEM_SEED_BYTES, repr=False)
    ]
    x25519: Annotated[
        Base64Bytes, Field(min_length=X25519_BYTES, max_length=X25519_BYTES, repr=False)
    ]
    created_at: UnixSeconds
    retired_at: UnixSeconds | None = None


class KeyVersion(_Record):
    """One generation of the root secret with its cipher pool and salt pool.

    Attributes:
        destroy_at: when the secret may be erased; until then a disabled version can come back.
    """

    version: VersionNumber
    profile: Profile
    state: State
    root: Annotated[
        Base64Bytes | None, Field(min_length=ROOT_BYTES, max_length=ROOT_BYTES, repr=False)
    ]
    cipher_pool: Annotated[tuple[str, ...], Field(repr=False)]
    salt_pool: Annotated[tuple[str, ...], Field(repr=False)]
    allow_weak: bool = False
    created_at: UnixSeconds
    destroy_at: UnixSeconds | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.destroy_at is not None and self.state is not State.DISABLED:
            raise ValueError("a key version that is to be destroyed is not disabled")
        if self.state is State.DESTROYED:
            if self.root is not None or self.salt_pool:
                raise ValueError("a destroyed key version still holds its secret")
            return self
        if self.root is None or not self.salt_pool:
            raise ValueError("a key version lacks its root or its salt pool")
        if self.profile is Profile.HARDENED:
            self._check_cipher_pool()
        return self

    def _check_cipher_pool(self) -> None:
        known = STRONG + WEAK if self.allow_weak else STRONG
        if not self.cipher_pool or not set(self.cipher_pool) <= set(known):
            raise ValueError("a cipher pool is empty or names an algorithm that is not allowed")


class Tenant(_Record):
    """One main server or application.

    Attributes:
        guesses_per_minute: guesses about one user in a minute; None means the worker's setting.
        guesses_per_day: the same in a day.
        password_profile: names what new password hashes cost.
    """

    name: TenantName
    created_at: UnixSeconds
    guesses_per_minute: Limit | None = None
    guesses_per_day: Limit | None = None
    password_profile: PasswordProfile = DEFAULT_ARGON2_PROFILE


class ApiKey(_Record):
    """What is kept of an API key: enough to check it, nothing to use it with.

    Attributes:
        requests_per_s: items a second that it may ask for, of each worker; None: no limit.
        rotated_to: the id of the key that takes its place.
    """

    key_id: str
    tenant: TenantName
    digest: Annotated[
        Base64Bytes,
        Field(min_length=API_KEY_DIGEST_BYTES, max_length=API_KEY_DIGEST_BYTES, repr=False),
    ]
    hint: str
    scopes: frozenset[str]
    created_at: UnixSeconds
    expires_at: UnixSeconds | None = None
    revoked_at: UnixSeconds | None = None
    requests_per_s: Limit | None = None
    rotated_to: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.scopes <= set(SCOPES):
            raise ValueError("an API key has a scope that is no operation")
        return self

    def is_valid_at(self, now_s: float) -> bool:
        """Whether the key may be used at this Unix time: not revoked and not expired."""
        return self.revoked_at is None and (self.expires_at is None or now_s < self.expires_at)


class Keystore(_Record):
    """The whole document. Frozen: a change is a new document.

    Attributes:
        audit_key: keys the audit log's chain and its hashes of users; None in an older file.
        minimum_making: no key version below it may become primary.
        minimum_checking: values of key versions below it are answered as unavailable.
    """

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    recipients: Annotated[tuple[str, ...], Field(min_length=1)]
    service_keys: Annotated[tuple[ServiceKey, ...], Field(min_length=1)]
    key_versions: Annotated[tuple[KeyVersion, ...], Field(min_length=1)]
    primary: int
    tenants: tuple[Tenant, ...]
    api_keys: tuple[ApiKey, ...]
    audit_key: Annotated[
        Base64Bytes | None,
        Field(min_length=AUDIT_KEY_BYTES, max_length=AUDIT_KEY_BYTES, repr=False),
    ] = None
    minimum_making: VersionNumber = 1
    minimum_checking: VersionNumber = 1

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse_doubles([key.key_id for key in self.service_keys], "service keys")
        _refuse_doubles([version.version for version in self.key_versions], "key versions")
        _refuse_doubles([tenant.name for tenant in self.tenants], "tenants")
        _refuse_doubles([key.key_id for key in self.api_keys], "API keys")
        states = {version.version: version.state for version in self.key_versions}
        if states.get(self.primary) is not State.ENABLED:
            raise ValueError("the primary key version is not an enabled one")
        if self.primary < max(self.minimum_making, self.minimum_checking):
            raise ValueError("the primary key version is below a minimum version")
        if all(key.retired_at is not None for key in self.service_keys):
            raise ValueError("every service key is retired")
        self._check_api_keys()
        return self

    def _check_api_keys(self) -> None:
        if not {key.tenant for key in self.api_keys} <= {tenant.name for tenant in self.tenants}:
            raise ValueError("an API key belongs to no tenant")
        known = {key.key_id for key in self.api_keys}
        for key in self.api_keys:
            if key.rotated_to is not None and key.rotated_to not in known - {key.key_id}:
                raise ValueError("an API key was rotated to no other key")

    def changed(self, **fields: object) -> Keystore:
        """A copy with some fields replaced, checked as a whole, in every part.

        Args:
            fields: records, or what their JSON holds; bytes in the latter are base64.

        Raises:
            KeystoreError: the result would be inconsistent.
        """
        audit_key = None if self.audit_key is None else base64.b64encode(self.audit_key)
        merged = parse({**dict(self), "audit_key": audit_key, **fields})
        # Records pass as they are, whatever their fields hold: read again, each field is checked.
        return decode(encode(merged))


def _refuse_doubles(names: list[object], what: str) -> None:
    if len(set(names)) != len(names):
        raise ValueError(f"two {what} have the same name")


def parse(fields: object) -> Keystore:
    """A keystore from Python values.

    Raises:
        KeystoreError: not a consistent keystore; says where, never with what value.
    """
    reason: str
    try:
        return Keystore.model_validate(fields)
    except ValidationError as error:
        reason = _describe(error)
    raise KeystoreError(f"not a valid keystore: {reason}")


def decode(raw: bytes) -> Keystore:
    """A keystore from its JSON.

    Raises:
        KeystoreError: not a keystore, of a future format version, or inconsistent.
    """
    header: _Header | None = None
    try:
        header = _Header.model_validate_json(raw)
    except ValidationError:
        pass
    if header is None or header.format != FORMAT:
        raise KeystoreError("the file opens, but holds no keystore")
    if header.format_version > FORMAT_VERSION:
        raise KeystoreError(
            f"the keystore has format version {header.format_version}, this release reads up to "
            f"{FORMAT_VERSION}: upgrade first"
        )
    reason: str
    try:
        return Keystore.model_validate_json(raw)
    except ValidationError as error:
        reason = _describe(error)
    raise KeystoreError(f"not a valid keystore: {reason}")


def encode(keystore: Keystore) -> bytes:
    """The JSON of a keystore, secrets included: only ever written inside an age file."""
    return keystore.model_dump_json(indent=1, round_trip=True).encode()


class _Header(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)
    format: str
    format_version: int


def _describe(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
