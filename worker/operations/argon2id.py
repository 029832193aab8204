"""Argon2id (RFC 9106) by argon2-cffi, in as many threads as the caller gives it.

argon2-cffi's own functions start a thread a lane. Where every core hashes already, more threads
than cores only keep other programs of the host waiting: each waiting one has a turn of its own.
The lanes are part of the result, the threads that compute them are not (RFC 9106, section 3.4).
"""

from __future__ import annotations

from typing import Final

from argon2.exceptions import HashingError
from argon2.low_level import Type, core, error_to_str, ffi

from caas_tasks.stored_forms import ARGON2_VERSION, Argon2Parameters

_OK: Final = 0
_KEEP_INPUTS: Final = 0
"""ARGON2_DEFAULT_FLAGS: the inputs are Python's to free."""


def argon2id(
    secret: bytes, salt: bytes, cost: Argon2Parameters, digest_bytes: int, threads: int
) -> bytes:
    """The raw digest. Lets go of the interpreter while it works.

    Args:
        secret: what is hashed: a password, or a prehash of one.
        salt: at least 8 bytes.
        digest_bytes: at least 4.
        threads: how many compute the lanes; at least 1, more than there are lanes is as many.

    Raises:
        HashingError: Argon2 refuses these parameters, or has no memory left.
    """
    digest = ffi.new("uint8_t[]", digest_bytes)
    # Named, since the structure only points at them.
    password, nonce = ffi.new("uint8_t[]", secret), ffi.new("uint8_t[]", salt)
    context = ffi.new(
        "argon2_context *",
        {
            "out": digest,
            "outlen": digest_bytes,
            "pwd": password,
            "pwdlen": len(secret),
            "salt": nonce,
            "saltlen": len(salt),
            "secret": ffi.NULL,
            "ad": ffi.NULL,
            "t_cost": cost.time_cost,
            "m_cost": cost.memory_kib,
            "lanes": cost.parallelism,
            "threads": min(threads, cost.parallelism),
            "version": ARGON2_VERSION,
            "allocate_cbk": ffi.NULL,
            "free_cbk": ffi.NULL,
            "flags": _KEEP_INPUTS,
        },
    )
    code = core(context, Type.ID.value)
    if code != _OK:
        raise HashingError(error_to_str(code))
    return bytes(ffi.buffer(digest, digest_bytes))
