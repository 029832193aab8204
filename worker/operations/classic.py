"""The classic profile of `encrypt`: an existing service's construction (docs/spec.md, section 4.2).

Kept exactly as it is, weaknesses included, so that its stored values stay verifiable: the selection
is not keyed, there is no pepper, and the weak algorithms are among its ciphers.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Final

from blake3 import blake3
from Crypto.Hash import RIPEMD160

_Hash = Callable[[bytes], str]


def _hashlib(name: str) -> _Hash:
    def hexdigest(data: bytes) -> str:
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()

    return hexdigest


def _ripemd160(data: bytes) -> str:
    return str(RIPEMD160.new(data).hexdigest())


def _blake3(data: bytes) -> str:
    return blake3(data).hexdigest()


_ALGORITHMS: Final[tuple[tuple[str, _Hash], ...]] = (
    ("blake2b", _hashlib("blake2b")),
    ("blake2s", _hashlib("blake2s")),
    ("blake3", _blake3),
    ("md5", _hashlib("md5")),
    ("ripemd160", _ripemd160),
    *((name, _hashlib(name)) for name in ("sha1", "sha224", "sha256", "sha384", "sha512")),
)


def _data_salt(data: str, salt: str) -> str:
    return data + salt


def _reversed_data_salt(data: str, salt: str) -> str:
    return data[::-1] + salt


def _data_reversed_salt(data: str, salt: str) -> str:
    return data + salt[::-1]


def _both_reversed(data: str, salt: str) -> str:
    return data[::-1] + salt[::-1]


def _reversed_whole(data: str, salt: str) -> str:
    return (data + salt)[::-1]


_ARRANGEMENTS: Final = (
    _data_salt,
    _reversed_data_salt,
    _data_reversed_salt,
    _both_reversed,
    _reversed_whole,
)
# Three ciphers of the original depart from the pattern; values in use depend on it.
_EXCEPTIONS: Final = {3: _data_reversed_salt, 19: _data_salt, 24: _data_salt}

CIPHERS: Final = tuple(
    (hash_function, _EXCEPTIONS.get(5 * row + column, arrangement))
    for row, (_, hash_function) in enumerate(_ALGORITHMS)
    for column, arrangement in enumerate(_ARRANGEMENTS)
)
"""The 50 ciphers in the order that selection counts in."""

CIPHER_NAMES: Final = tuple(
    f"{name}_version{column + 1}" for name, _ in _ALGORITHMS for column in range(len(_ARRANGEMENTS))
)


def select(uuid_text: str, pool_size: int) -> int:
    """The index below `pool_size` for a user; the text counts as it came, case and all.

    Python's Mersenne Twister seeded with a float: the original did so. Not a cryptographic choice.
    """
    length = len(uuid_text)
    total = sum(position * ord(character) for position, character in enumerate(uuid_text, 1))
    seed = total / (length * (length + 1) / 2 + 1)
    return random.Random(seed).randint(0, pool_size - 1)  # noqa: S311 - the published construction


def encrypt(salt_pool: Sequence[str], uuid_text: str, data: str) -> str:
    """The stored value: the selected cipher's lower-case hex digest, 32 to 128 characters."""
    hash_function, arrange = CIPHERS[select(uuid_text, len(CIPHERS))]
    salt = salt_pool[select(uuid_text, len(salt_pool))]
    return hash_function(arrange(data, salt).encode())
