"""What stored values look like from outside: tokens and password hashes (docs/spec.md, section 5).

Both directions of each form, without any key: workers read and write them, clients tell what a
stored value is. Strict: one value has one text, and what is not of the form is None.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Final, Literal

from caas_tasks.limits import MAX_HASH_CHARS, MAX_ITEM_BYTES

TOKEN_PREFIX: Final = "caas1."  # noqa: S105 - the form's name, not a secret
VERSION_BYTES: Final = 4
MESSAGE_SALT_BYTES: Final = 32
COMMITMENT_BYTES: Final = 32
TAG_BYTES: Final = 16
_HEAD_BYTES: Final = VERSION_BYTES + MESSAGE_SALT_BYTES + COMMITMENT_BYTES
MAX_TOKEN_CHARS: Final = len(TOKEN_PREFIX) + -(-(_HEAD_BYTES + MAX_ITEM_BYTES + TAG_BYTES) * 4 // 3)
"""Length of the token of the largest plaintext: 87,500 characters."""

HASH_PREFIX: Final = "$caas-argon2id$"
ARGON2_VERSION: Final = 19  # RFC 9106, section 3.1: 0x13
PASSWORD_SALT_BYTES: Final = 16
PASSWORD_DIGEST_BYTES: Final = 32

_URL_SAFE: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
# No leading zeros: one hash has one text.
_NUMBER: Final = r"([1-9][0-9]{0,9})"
_HASH: Final = re.compile(
    r"\$caas-argon2id\$v=19"
    rf"\$m={_NUMBER},t={_NUMBER},p={_NUMBER},k={_NUMBER}"
    r"\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})\Z"
)


@dataclass(frozen=True, slots=True)
class Token:
    """What `seal` gives, taken apart.

    Attributes:
        box: ciphertext and tag.
    """

    key_version: int
    message_salt: bytes = field(repr=False)
    commitment: bytes = field(repr=False)
    box: bytes = field(repr=False)

    def to_text(self) -> str:
        """`caas1.` and base64url without padding."""
        raw = (
            self.key_version.to_bytes(VERSION_BYTES, "big")
            + self.message_salt
            + self.commitment
            + self.box
        )
        return TOKEN_PREFIX + urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def parse_token(text: str) -> Token | None:
    """A token from its text, or None when it is not the one canonical text of a token."""
    body = text[len(TOKEN_PREFIX) :]
    if (
        len(text) > MAX_TOKEN_CHARS
        or not text.startswith(TOKEN_PREFIX)
        or not _URL_SAFE.match(body)
        or len(body) % 4 == 1
    ):
        return None
    raw = b64decode(body + "=" * (-len(body) % 4), altchars=b"-_")
    # The last character may carry bits that belong to no byte: only zeros are canonical.
    if urlsafe_b64encode(raw[len(raw) - (len(raw) % 3 or 3) :]).rstrip(b"=") != (
        body[-(len(body) % 4 or 4) :].encode("ascii")
    ):
        return None
    key_version = int.from_bytes(raw[:VERSION_BYTES], "big")
    if len(raw) < _HEAD_BYTES + TAG_BYTES or key_version == 0:
        return None
    salt_end = VERSION_BYTES + MESSAGE_SALT_BYTES
    return Token(key_version, raw[VERSION_BYTES:salt_end], raw[salt_end:_HEAD_BYTES],
                 raw[_HEAD_BYTES:])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Argon2Parameters:
    """What an Argon2id run costs (RFC 9106, section 3.1).

    Attributes:
        memory_kib: m, in KiB.
        time_cost: t, passes.
        parallelism: p, lanes.
    """

    memory_kib: int
    time_cost: int
    parallelism: int


PasswordProfile = Literal["rfc9106-high-memory", "rfc9106-low-memory", "cheapest"]

PASSWORD_PROFILES: Final[dict[PasswordProfile, Argon2Parameters]] = {
    # RFC 9106, section 4: the first and the second recommended option.
    "rfc9106-high-memory": Argon2Parameters(2 * 1024 * 1024, 1, 4),
    "rfc9106-low-memory": Argon2Parameters(64 * 1024, 3, 4),
    # RFC 9106, section 3.1: the least that Argon2 takes. For tests: it protects nothing.
    "cheapest": Argon2Parameters(8, 1, 1),
}
"""Named parameters for `hash_password`."""

DEFAULT_ARGON2_PROFILE: Final = "rfc9106-low-memory"


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What `hash_password` gives, taken apart."""

    parameters: Argon2Parameters
    key_version: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def to_text(self) -> str:
        """The text in the manner of PHC strings, with `k`, the key version."""
        cost = self.parameters
        return (
            f"{HASH_PREFIX}v={ARGON2_VERSION}$m={cost.memory_kib},t={cost.time_cost},"
            f"p={cost.parallelism},k={self.key_version}${_unpadded(self.salt)}"
            f"${_unpadded(self.digest)}"
        )

    @property
    def profile(self) -> PasswordProfile | None:
        """The name of the profile that has these parameters, or None."""
        named = (name for name, cost in PASSWORD_PROFILES.items() if cost == self.parameters)
        return next(named, None)


def parse_password_hash(text: str) -> PasswordHash | None:
    """A password hash from its text, or None when it is of another form or scheme.

    Nothing is computed from the parameters here; whoever does must cap them first.
    """
    match = _HASH.match(text) if len(text) <= MAX_HASH_CHARS else None
    if match is None:
        return None
    memory_kib, time_cost, parallelism, key_version = map(int, match.groups()[:4])
    salt, digest = (b64decode(part + "=" * (-len(part) % 4)) for part in match.groups()[4:])
    if max(memory_kib, time_cost, parallelism, key_version) > 2**32 - 1:
        return None
    parsed = PasswordHash(
        Argon2Parameters(memory_kib, time_cost, parallelism), key_version, salt, digest
    )
    return parsed if parsed.to_text() == text else None


def _unpadded(raw: bytes) -> str:
    return b64encode(raw).rstrip(b"=").decode("ascii")
