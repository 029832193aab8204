"""Making a keystore and changing it: pure functions from keystore to keystore.

Clock and randomness are arguments, so that each result can be told in advance in a test.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from caas_tasks import api_key
from caas_tasks.envelope import ServicePublicKey
from caas_tasks.names import SCOPES
from caas_tasks.stored_forms import PASSWORD_PROFILES
from worker.keystore.document import (
    AUDIT_KEY_BYTES,
    MLKEM_SEED_BYTES,
    X25519_BYTES,
    Keystore,
    Profile,
    ServiceKey,
    State,
    parse,
)
from worker.keystore.errors import KeystoreError
from worker.operations.derivation import ROOT_BYTES
from worker.operations.digests import STRONG

SALT_LENGTHS: Final = (8, 16, 32, 64)
SALTS_OF_EACH_LENGTH: Final = 64
MAX_SALT_CHARS: Final = 256
MAX_SALTS: Final = 65_536


class Random(Protocol):
    """Where random bytes and characters come from; `secrets` has this shape."""

    def token_bytes(self, nbytes: int, /) -> bytes:
        """That many random bytes."""

    def choice(self, seq: Sequence[str], /) -> str:
        """One element, each as likely."""


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A keystore with a new API key in it, and the key's text, which is nowhere else."""

    keystore: Keystore
    key_id: str
    text: str

    def __repr__(self) -> str:
        return f"NewApiKey(key_id={self.key_id!r})"


def new_keystore(
    *,
    recipients: Sequence[str],
    tenant: str,
    profile: Profile,
    salt_pool: Sequence[str] | None,
    now_s: int,
    random: Random,
) -> Keystore:
    """A keystore with one service key pair, key version 1 and one tenant.

    Args:
        recipients: age X25519 recipients, a recovery one among them.
        salt_pool: the operator's own list, which the classic profile needs; None draws one.
        now_s: Unix time in seconds.

    Raises:
        KeystoreError: the classic profile without a salt pool, or a malformed tenant name.
    """
    return parse(
        {
            "recipients": tuple(recipients),
            "service_keys": (new_service_key(now_s, random),),
            "key_versions": (new_key_version(1, profile, salt_pool, now_s, random),),
            "primary": 1,
            "tenants": ({"name": tenant, "created_at": now_s},),
            "api_keys": (),
            "audit_key": new_audit_key(random.token_bytes),
        }
    )


def new_audit_key(random_bytes: Callable[[int], bytes]) -> bytes:
    """A key for the audit log, in base64, as a keystore's JSON holds it."""
    return base64.b64encode(random_bytes(AUDIT_KEY_BYTES))


def check_salt_pool(value: object) -> tuple[str, ...]:
    """A salt pool from parsed JSON.

    Raises:
        KeystoreError: not a list of 1 to `MAX_SALTS` strings of 1 to `MAX_SALT_CHARS` characters.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_SALTS:
        raise KeystoreError(f"a salt pool is a JSON array of 1 to {MAX_SALTS} strings")
    if not all(isinstance(salt, str) and 1 <= len(salt) <= MAX_SALT_CHARS for salt in value):
        raise KeystoreError(f"a salt is a string of 1 to {MAX_SALT_CHARS} characters")
    return tuple(value)


def add_api_key(
    keystore: Keystore,
    *,
    tenant: str,
    scopes: Iterable[str],
    expires_at: int | None,
    requests_per_s: int | None = None,
    now_s: int,
    random: Random,
) -> NewApiKey:
    """Give a tenant one more API key; the tenant is made when it is new.

    Args:
        scopes: operations that it may ask for.
        expires_at: Unix time in seconds; None for never.
        requests_per_s: items a second that it may ask for, of each worker; None: no limit.
        now_s: Unix time in seconds.

    Raises:
        KeystoreError: an unknown scope, a malformed tenant name, an expiry in the past or a limit
            out of range.
    """
    wanted = frozenset(scopes)
    if not wanted or not wanted <= set(SCOPES):
        raise KeystoreError(f"scopes are one or more of: {', '.join(SCOPES)}")
    if expires_at is not None and expires_at <= now_s:
        raise KeystoreError("the expiry lies in the past")
    text = api_key.generate(random.choice)
    key_id = api_key.parse_id(text)
    record = {
        "key_id": key_id,
        "tenant": tenant,
        "digest": base64.b64encode(api_key.digest(text)),
        "hint": api_key.hint(text),
        "scopes": wanted,
        "created_at": now_s,
        "expires_at": expires_at,
        "requests_per_s": requests_per_s,
    }
    tenants: tuple[object, ...] = keystore.tenants
    if tenant not in {known.name for known in keystore.tenants}:
        tenants = (*tenants, {"name": tenant, "created_at": now_s})
    changed = keystore.changed(tenants=tenants, api_keys=(*keystore.api_keys, record))
    return NewApiKey(changed, key_id, text)


def revoke_api_key(keystore: Keystore, key_id: str, now_s: int) -> Keystore:
    """Revoke an API key for good; revoking twice keeps the first time.

    Raises:
        KeystoreError: no such key.
    """
    if key_id not in {key.key_id for key in keystore.api_keys}:
        raise KeystoreError("no API key has this id")
    return keystore.changed(
        api_keys=tuple(
            key.model_copy(update={"revoked_at": now_s})
            if key.key_id == key_id and key.revoked_at is None
            else key
            for key in keystore.api_keys
        )
    )


def set_password_profile(keystore: Keystore, tenant: str, profile: str) -> Keystore:
    """Let a tenant's new password hashes cost what a named profile says.

    Raises:
        KeystoreError: no such tenant or profile.
    """
    if tenant not in {record.name for record in keystore.tenants}:
        raise KeystoreError("there is no such tenant")
    if profile not in PASSWORD_PROFILES:
        raise KeystoreError(f"password profiles are: {', '.join(PASSWORD_PROFILES)}")
    tenants = tuple(
        {**dict(record), "password_profile": profile} if record.name == tenant else record
        for record in keystore.tenants
    )
    return keystore.changed(tenants=tenants)


def public_key(keystore: Keystore) -> ServicePublicKey:
    """The public half that main servers are given: the oldest service key that is not retired."""
    in_use = [key for key in keystore.service_keys if key.retired_at is None]
    oldest = min(in_use, key=lambda key: key.created_at)
    return public_half(oldest)


def public_half(key: ServiceKey) -> ServicePublicKey:
    """The public half of a service key pair."""
    return _public_key(key.mlkem_seed, key.x25519)


def _public_key(mlkem_seed: bytes, x25519: bytes) -> ServicePublicKey:
    return ServicePublicKey.from_raw(
        MLKEM768PrivateKey.from_seed_bytes(mlkem_seed).public_key().public_bytes_raw(),
        X25519PrivateKey.from_private_bytes(x25519).public_key().public_bytes_raw(),
    )


def new_service_key(now_s: int, random: Random) -> dict[str, object]:
    """A service key pair, as a keystore's JSON holds it; `now_s` is Unix time in seconds."""
    seed, x25519 = random.token_bytes(MLKEM_SEED_BYTES), random.token_bytes(X25519_BYTES)
    return {
        "key_id": _public_key(seed, x25519).key_id.hex(),
        "mlkem_seed": base64.b64encode(seed),
        "x25519": base64.b64encode(x25519),
        "created_at": now_s,
    }


def new_key_version(
    version: int,
    profile: Profile,
    salt_pool: Sequence[str] | None,
    now_s: int,
    random: Random,
) -> dict[str, object]:
    """An enabled key version with a new root, as a keystore's JSON holds it.

    Args:
        salt_pool: the operator's own list, which the classic profile needs; None draws one.
        now_s: Unix time in seconds.

    Raises:
        KeystoreError: the classic profile without a salt pool.
    """
    if profile is Profile.CLASSIC and salt_pool is None:
        raise KeystoreError("the classic profile needs the existing service's salt pool")
    return {
        "version": version,
        "profile": profile,
        "state": State.ENABLED,
        "root": base64.b64encode(random.token_bytes(ROOT_BYTES)),
        "cipher_pool": STRONG if profile is Profile.HARDENED else (),
        "salt_pool": tuple(salt_pool) if salt_pool else _random_salts(random.choice),
        "created_at": now_s,
    }


def _random_salts(choice: Callable[[str], str]) -> tuple[str, ...]:
    return tuple(
        "".join(choice(api_key.ALPHABET) for _ in range(length))
        for length in SALT_LENGTHS
        for _ in range(SALTS_OF_EACH_LENGTH)
    )
