"""The hardened profile of `encrypt` (docs/spec.md, section 4.1).

A keyed selection of algorithm and salt, an inner keyed digest with them, and an outer HMAC-SHA384
under a key of its own, so that a stored value can't be tested without the root and tells nothing
about the algorithm.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from worker.operations.digests import digest_module

_DOMAIN: Final = b"digest\x00"


def select(selection_key: bytes, uuid: bytes, ciphers: int, salts: int) -> tuple[int, int]:
    """Which cipher and salt a user has: two indexes below `ciphers` and `salts`.

    Multiply-and-shift of 64 bits each: the bias for a pool of n is below n / 2**64.
    """
    s = hmac.digest(selection_key, uuid, "sha256")
    return (
        int.from_bytes(s[0:8], "big") * ciphers >> 64,
        int.from_bytes(s[8:16], "big") * salts >> 64,
    )


def encrypt(
    selection_key: bytes,
    pepper_key: bytes,
    cipher_pool: Sequence[str],
    salt_pool: Sequence[str],
    uuid: bytes,
    data: bytes,
) -> str:
    """The stored value: 96 lower-case hex characters.

    Args:
        selection_key: `K("select")`, 32 bytes.
        pepper_key: `K("pepper")`, 32 bytes.
        uuid: the user's UUID, 16 bytes.
        data: the sensitive data, UTF-8.
    """
    cipher, salt = select(selection_key, uuid, len(cipher_pool), len(salt_pool))
    inner_key = salt_pool[salt].encode() + uuid
    inner = hmac.new(inner_key, data, digest_module(cipher_pool[cipher])).digest()
    return hmac.digest(pepper_key, _DOMAIN + uuid + inner, "sha384").hex()
