"""Key derivation from a key version's root (docs/spec.md, section 3)."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ROOT_BYTES: Final = 32
_KEY_BYTES: Final = 32


def derive(root: bytes, tenant: str, purpose: str, tail: bytes = b"") -> bytes:
    """HKDF-SHA256 (RFC 5869, no salt) of a root for one tenant and purpose; 32 bytes.

    The tenant's name holds no NUL (the keystore refuses one), so the parts of the info can't run
    into each other.
    """
    info = b"caas/1/" + purpose.encode() + b"\x00" + tenant.encode() + b"\x00" + tail
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(root)
