"""Blind indexes: find a row by a value without storing the value (docs/spec.md, section 5)."""

from __future__ import annotations

import hmac


def blind_index(index_key: bytes, value: str) -> str:
    """96 lower-case hex characters.

    Args:
        index_key: `K("index", field)`, 32 bytes.
        value: any text; callers normalise it first (case, Unicode form) as their search needs.
    """
    return hmac.digest(index_key, value.encode(), "sha384").hex()
