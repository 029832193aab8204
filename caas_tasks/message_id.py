"""Message ids: UUIDs of version 7 (RFC 9562, section 5.7), which say when they were made.

A message's id is its Celery task id, seen by the broker, as its times are (docs/spec.md, section
6). It is bound to the sealed request, so a broker can't change it. With the time in it, a worker
knows how long a message waited, and whoever looks at a lane how old its oldest message is, without
a header for it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

from caas_tasks.limits import MAX_LIFETIME_MS

ID_BYTES: Final = 16
_HEX_DIGITS: Final = 2 * ID_BYTES
_TIME_DIGITS: Final = 12
_VERSION: Final = 0x7
_VARIANT: Final = 0b10
_RANDOM_BYTES: Final = 10


def new_id(now_ms: int, random_bytes: Callable[[int], bytes]) -> bytes:
    """A new id, 16 bytes.

    Args:
        now_ms: Unix time in milliseconds.
        random_bytes: cryptographically secure, such as `os.urandom`.
    """
    drawn = int.from_bytes(random_bytes(_RANDOM_BYTES), "big")
    value = (now_ms & (1 << 48) - 1) << 80 | _VERSION << 76 | (drawn >> 62 & 0xFFF) << 64
    value |= _VARIANT << 62 | drawn & (1 << 62) - 1
    return value.to_bytes(ID_BYTES, "big")


def new_message_id(now_ms: int, random_bytes: Callable[[int], bytes]) -> str:
    """A new id in the form of message ids."""
    return str(uuid.UUID(bytes=new_id(now_ms, random_bytes)))


def age_s(message_id: object, now_ms: int) -> float | None:
    """How long ago a message's id was made, in seconds; None when the id doesn't say.

    Never below 0, clocks being as they are; a time further off than any message lives is not
    believed.

    Args:
        message_id: as `new_message_id` makes it, or one that begins with `new_id` in hex.
    """
    if not isinstance(message_id, str):
        return None
    digits = message_id[: _HEX_DIGITS + 4].replace("-", "")[:_HEX_DIGITS]
    if len(digits) < _HEX_DIGITS or digits[_TIME_DIGITS] != str(_VERSION):
        return None
    try:
        made_ms = int(digits[:_TIME_DIGITS], 16)
    except ValueError:
        return None
    age_ms = now_ms - made_ms
    return None if abs(age_ms) > MAX_LIFETIME_MS else max(0, age_ms) / 1_000
