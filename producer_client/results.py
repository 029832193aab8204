"""What the client's calls return: small frozen objects whose `repr` shows no value."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Encrypted:
    """The value to store for a user's data.

    Attributes:
        encrypted_data: lower-case hex, 96 characters under the hardened profile; fits one column.
        key_version: which generation of keys made it; store it beside the value.
    """

    encrypted_data: str = field(repr=False)
    key_version: int


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether data belongs to a stored value.

    Attributes:
        valid: the data is the one the value was made from.
        needs_update: the value is valid but old or wrapped: store a fresh `encrypt` in its place.
    """

    valid: bool
    needs_update: bool

    def __bool__(self) -> bool:
        """Truth is `valid`, so that `if client.verify(...)` can't let everybody in."""
        return self.valid


@dataclass(frozen=True, slots=True)
class BlindIndex:
    """A searchable value: `WHERE email_index = index`.

    Attributes:
        index: 96 lower-case hex characters.
        key_version: which generation of keys made it.
    """

    index: str = field(repr=False)
    key_version: int


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A legacy digest made safe.

    Attributes:
        wrapped: 96 lower-case hex characters, to store in the digest's place.
        key_version: which generation of keys made it.
    """

    wrapped: str = field(repr=False)
    key_version: int


@dataclass(frozen=True, slots=True)
class PasswordVerification:
    """Whether a password belongs to a stored hash.

    Attributes:
        valid: the password is the one the hash was made from.
        needs_update: the hash is of an older key version or of other costs than now in use.
        new_hash: what to store in the old one's place, when `needs_update`; else None.
    """

    valid: bool
    needs_update: bool
    new_hash: str | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        """Truth is `valid`, so that `if client.verify_password(...)` can't let everybody in."""
        return self.valid


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """A token under the newest key version.

    Attributes:
        token: the new token, or the old one when nothing had to change.
        changed: the token is a new one: store it.
    """

    token: str = field(repr=False)
    changed: bool
