"""The work that every contender does: the hardened construction, with fixed keys.

A keyed selection of algorithm and salt, an inner HMAC with them, an outer HMAC-SHA384. It is
written a second time here so that it runs in environments that hold nothing of this project.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from typing import Final

_SELECT: Final = hashlib.sha256(b"select").digest()
_PEPPER: Final = hashlib.sha256(b"pepper").digest()
_CIPHERS: Final = (
    *("blake2b", "blake2s", "sha256", "sha384"),
    *("sha512", "sha3_256", "sha3_384", "sha3_512"),
)
_SALTS: Final = tuple(
    hashlib.sha512(f"{length}/{number}".encode()).hexdigest()[:length]
    for length in (8, 16, 32, 64)
    for number in range(64)
)


def digest(user_uuid: str, data: str) -> str:
    """The value to store: 96 hex characters."""
    uuid = bytes.fromhex(user_uuid.replace("-", ""))
    s = hmac.digest(_SELECT, uuid, "sha256")
    cipher = _CIPHERS[int.from_bytes(s[0:8], "big") * len(_CIPHERS) >> 64]
    salt = _SALTS[int.from_bytes(s[8:16], "big") * len(_SALTS) >> 64]
    inner = hmac.new(salt.encode() + uuid, data.encode(), cipher).digest()
    return hmac.digest(_PEPPER, b"digest\x00" + uuid + inner, "sha384").hex()


USERS: Final = 50_000
"""So many that no user's guess limit is met."""


def users(count: int) -> list[str]:
    """UUIDs of made-up users, the same at every run."""
    source = random.Random(1)
    numbers = [f"{source.getrandbits(128):032x}" for _ in range(count)]
    return ["-".join((n[:8], n[8:12], n[12:16], n[16:20], n[20:])) for n in numbers]


def pairs(count: int, data_bytes: int = 32) -> list[tuple[str, str]]:
    """Pairs of UUID and data, the data all different and of one length."""
    known = users(min(count, USERS))
    return [
        (known[number % len(known)], f"{number:08d}".ljust(data_bytes, "x"))
        for number in range(count)
    ]
