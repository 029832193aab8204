"""API keys: `caas_<id>_<secret><checksum>` (docs/spec.md, section 7).

The secret is 43 random characters of 62 (256 bits); the last six characters are a CRC-32 of all
that stands before them, so that a mistyped or cut-off key is refused without asking a worker, and
secret scanners can tell a real key. The keystore holds only a SHA-256 of the whole key: with 256
random bits in it, a slow hash would add nothing.
"""

from __future__ import annotations

import hashlib
import re
import string
import zlib
from collections.abc import Callable
from typing import Final

from caas_tasks.errors import UnauthorizedError
from caas_tasks.limits import MAX_API_KEY_CHARS

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_CHARS: Final = 12
SECRET_CHARS: Final = 43  # 43 * log2(62) = 256.03 bits
CHECKSUM_CHARS: Final = 6  # 62**6 > 2**32
HINT_CHARS: Final = 4

_FORM: Final = re.compile(
    rf"caas_([0-9A-Za-z]{{{ID_CHARS}}})_[0-9A-Za-z]{{{SECRET_CHARS + CHECKSUM_CHARS}}}\Z", re.ASCII
)


def generate(choice: Callable[[str], str]) -> str:
    """A new API key.

    Args:
        choice: draws one character of a string uniformly, such as `secrets.choice`.
    """
    key_id = "".join(choice(ALPHABET) for _ in range(ID_CHARS))
    secret = "".join(choice(ALPHABET) for _ in range(SECRET_CHARS))
    body = f"caas_{key_id}_{secret}"
    return body + _checksum(body)


def parse_id(api_key: str) -> str:
    """The key's public id.

    Raises:
        UnauthorizedError: the text does not have the form of a key, or its checksum is wrong.
    """
    match = _FORM.match(api_key) if len(api_key) <= MAX_API_KEY_CHARS else None
    if match is None or _checksum(api_key[:-CHECKSUM_CHARS]) != api_key[-CHECKSUM_CHARS:]:
        raise UnauthorizedError
    return match.group(1)


def digest(api_key: str) -> bytes:
    """What the keystore holds of a key: SHA-256 of its text, 32 bytes."""
    return hashlib.sha256(api_key.encode()).digest()


def hint(api_key: str) -> str:
    """The last characters of the random part, which may be shown to tell keys apart."""
    return api_key[-CHECKSUM_CHARS - HINT_CHARS : -CHECKSUM_CHARS]


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(CHECKSUM_CHARS):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
