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
