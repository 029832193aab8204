"""What a user is called where a UUID must not stand: in the audit log and in names of counters.

Keyed BLAKE2b (RFC 7693) under keys that HKDF-SHA256 (RFC 5869) derives from the keystore's audit
key, one for each purpose, so that neither place tells who is meant, nor can the two be joined.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NAME_BYTES: Final = 16
"""Long enough that no two users of an installation share a name."""

_KEY_BYTES: Final = 32


def derive_key(audit_key: bytes, purpose: str) -> bytes:
    """The key of one purpose, 32 bytes."""
    info = b"caas/1/" + purpose.encode()
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(audit_key)


class UserNames:
    """Names users by keyed hashes, as hexadecimal text of `2 * NAME_BYTES` characters.

    Args:
        audit_key: of the keystore, 32 bytes.
    """

    __slots__ = ("_audit", "_counter")

    def __init__(self, audit_key: bytes) -> None:
        self._audit = blake2b(
            digest_size=NAME_BYTES, key=derive_key(audit_key, "audit-user"), person=b"caas-user"
        )
        self._counter = blake2b(
            digest_size=NAME_BYTES, key=derive_key(audit_key, "counter"), person=b"caas-user"
        )

    def for_audit(self, tenant: str, users: Iterable[str]) -> tuple[str, ...]:
        """What the audit log calls a tenant's users."""
        return tuple(_name(self._audit, tenant, user) for user in users)

    def for_counter(self, tenant: str, user: str) -> str:
        """What the counters call a tenant's user."""
        return _name(self._counter, tenant, user)


def _name(keyed: blake2b, tenant: str, user: str) -> str:
    # A tenant's name holds no NUL, so the two parts can't run into each other.
    state = keyed.copy()
    state.update(f"{tenant}\0{user}".encode())
    return state.hexdigest()
