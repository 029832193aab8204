"""Wrapping of legacy digests (docs/spec.md, section 4.3)."""

from __future__ import annotations

import hmac
from typing import Final

_DOMAIN: Final = b"wrap\x00"


def wrap(pepper_key: bytes, uuid: bytes, legacy_digest: str) -> str:
    """A legacy digest made safe without the data: 96 lower-case hex characters.

    Args:
        pepper_key: `K("pepper")`, 32 bytes.
        uuid: the user's UUID, 16 bytes.
        legacy_digest: ASCII, used as it comes.
    """
    return hmac.digest(pepper_key, _DOMAIN + uuid + legacy_digest.encode("ascii"), "sha384").hex()
