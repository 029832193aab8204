"""The digest algorithms that a cipher pool may name, and which of them are weak."""

from __future__ import annotations

import hashlib
from types import ModuleType
from typing import Any, Final

from Crypto.Hash import RIPEMD160

STRONG: Final = (
    "blake2b",
    "blake2s",
    "sha256",
    "sha384",
    "sha512",
    "sha3_256",
    "sha3_384",
    "sha3_512",
)
"""The default cipher pool, in the order that selection counts in (docs/spec.md, section 4.1)."""

WEAK: Final = ("md5", "sha1", "ripemd160")
"""Allowed in a pool only with an explicit `allow_weak`."""

_FROM_HASHLIB: Final = frozenset(STRONG + WEAK) - {"ripemd160"}


def digest_module(name: str) -> Any:
    """What `hmac` takes as its digestmod: hashlib's name, or PyCryptodome's module for RIPEMD-160.

    OpenSSL 3 keeps RIPEMD-160 in a provider that some systems don't load, so hashlib can't be
    relied on for it.

    Raises:
        KeyError: not an algorithm of any pool.
    """
    if name == "ripemd160":
        module: ModuleType = RIPEMD160
        return module
    if name not in _FROM_HASHLIB:
        raise KeyError
    return getattr(hashlib, name)
