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

KEY_BYTES: Final = 32


def derive_key(audit_key: bytes, purpose: str) -> bytes:
    """The key of one purpose, `KEY_BYTES` long."""
    info = b"caas/1/" + purpose.encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(audit_key)


class UserNames:
    """Names users by keyed hashes, as hexadecimal text of `2 * NAME_BYTES` characters.

    Args:
        audit_key: of the keystore, 32 bytes.
    """

    __slots__ = ("_audit", "_audit_of", "_counter")

    def __init__(self, audit_key: bytes) -> None:
        self._audit = _keyed(derive_key(audit_key, "audit-user"))
        self._audit_of: dict[str, blake2b] = {}
        self._counter = _keyed(derive_key(audit_key, "guess-counter"))

    def for_audit(self, tenant: str, users: Iterable[str]) -> tuple[str, ...]:
        """What the audit log calls a tenant's users.

        Args:
            users: UUIDs in lower case.
        """
        state = self._audit_of.get(tenant)
        if state is None:
            state = self._audit_of[tenant] = _of_tenant(self._audit, tenant)
        names = []
        for user in users:
            named = state.copy()
            named.update(user.encode())
            names.append(named.hexdigest())
        return tuple(names)

    def for_counter(self, tenant: str, user: str) -> str:
        """What the guess counters call a tenant's user, a UUID in lower case."""
        state = _of_tenant(self._counter, tenant)
        state.update(user.encode())
        return state.hexdigest()


def _keyed(key: bytes) -> blake2b:
    return blake2b(digest_size=NAME_BYTES, key=key)


def _of_tenant(keyed: blake2b, tenant: str) -> blake2b:
    # A tenant's name holds no NUL, so it can't run into the UUID.
    state = keyed.copy()
    state.update(tenant.encode() + b"\0")
    return state
