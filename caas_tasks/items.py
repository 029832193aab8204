"""The items of requests as frozen pydantic models with limits (docs/spec.md, sections 5 and 7).

Models know the wire names through aliases.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic import Field as field  # noqa: N813 - Field is this project's wire names

from caas_tasks.base64_field import Base64Field
from caas_tasks.encoding import UUID_PATTERN
from caas_tasks.limits import (
    MAX_CONTEXT_BYTES,
    MAX_DIGEST_CHARS,
    MAX_FIELD_NAME_CHARS,
    MAX_HASH_CHARS,
    MAX_ITEM_BYTES,
    MAX_REFERENCE_CHARS,
)
from caas_tasks.names import Field, Operation
from caas_tasks.stored_forms import MAX_TOKEN_CHARS

UserUuid = Annotated[
    str, StringConstraints(pattern=UUID_PATTERN), field(alias=Field.USER_UUID, repr=False)
]
# The length limits on data also make pydantic look at every character: a lone surrogate is refused.
SensitiveData = Annotated[
    str, field(alias=Field.SENSITIVE_DATA, max_length=MAX_ITEM_BYTES, repr=False)
]
KeyVersion = Annotated[int, field(ge=1, le=2**32 - 1)]
HexValue = Annotated[
    str, StringConstraints(pattern=r"^([0-9a-fA-F]{2}){16,64}$"), field(repr=False)
]


class Referenced(BaseModel):
    """What every item may have: a reference that its answer echoes."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_by_name=False,
        regex_engine="rust-regex",
    )

    reference: Annotated[
        str | None, field(default=None, min_length=1, max_length=MAX_REFERENCE_CHARS, repr=False)
    ]


class Item(Referenced):
    """One element of a request. Strict types, no unknown fields, immutable."""

    def size_checked_text(self) -> str:
        """The text whose UTF-8 size is limited to `MAX_ITEM_BYTES`; empty where there is none."""
        return ""


class UserItem(Item):
    """An item about one user."""

    user_uuid: UserUuid


class SensitiveItem(UserItem):
    """An item with a user's sensitive data."""

    sensitive_data: SensitiveData

    def size_checked_text(self) -> str:
        """The text whose size is limited."""
        return self.sensitive_data


class EncryptItem(SensitiveItem):
    """In: userUUID, sensitiveData. Out: encrypted_data, key_version."""


class CandidatesItem(SensitiveItem):
    """In: userUUID, sensitiveData. Out: candidates, newest key version first."""


class VerifyItem(SensitiveItem):
    """In: userUUID, sensitiveData, encrypted_data, key_version?. Out: valid, needs_update."""

    encrypted_data: HexValue
    key_version: KeyVersion | None = None


class BlindIndexItem(Item):
    """In: field, value. Out: indexes, newest key version first."""

    field_name: Annotated[
        str, field(alias=Field.FIELD, min_length=1, max_length=MAX_FIELD_NAME_CHARS, repr=False)
    ]
    value: Annotated[str, field(max_length=MAX_ITEM_BYTES, repr=False)]

    def size_checked_text(self) -> str:
        """The text whose size is limited."""
        return self.value


class WrapItem(UserItem):
    """In: userUUID, legacyDigest (printable ASCII, used as it comes). Out: wrapped, key_version."""

    legacy_digest: Annotated[
        str,
        StringConstraints(pattern=r"^[\x21-\x7e]+$", max_length=MAX_DIGEST_CHARS),
        field(alias=Field.LEGACY_DIGEST, repr=False),
    ]


class PasswordItem(UserItem):
    """An item with a user's password: text as it comes, not normalised."""

    password: Annotated[str, field(max_length=MAX_ITEM_BYTES, repr=False)]

    def size_checked_text(self) -> str:
        """The text whose size is limited."""
        return self.password


class HashPasswordItem(PasswordItem):
    """In: userUUID, password. Out: hash."""


class VerifyPasswordItem(PasswordItem):
    """In: userUUID, password, hash?. Out: valid, needs_update, hash?."""

    stored_hash: Annotated[
        str | None, field(alias=Field.HASH, default=None, max_length=MAX_HASH_CHARS, repr=False)
    ]


class ContextItem(UserItem):
    """An item about something sealed for one purpose."""

    context: Annotated[bytes, Base64Field(MAX_CONTEXT_BYTES), field(default=b"", repr=False)]


class SealItem(ContextItem):
    """In: userUUID, plaintext, context?. Out: token."""

    plaintext: Annotated[bytes, Base64Field(MAX_ITEM_BYTES), field(repr=False)]


class TokenItem(ContextItem):
    """An item with what `seal` gave."""

    token: Annotated[str, field(max_length=MAX_TOKEN_CHARS, repr=False)]


class OpenItem(TokenItem):
    """In: userUUID, token, context?. Out: plaintext."""


class RewrapItem(TokenItem):
    """In: userUUID, token, context?. Out: token, changed."""


ITEM_MODELS: Final[dict[Operation, type[Item]]] = {
    Operation.ENCRYPT: EncryptItem,
    Operation.VERIFY: VerifyItem,
    Operation.CANDIDATES: CandidatesItem,
    Operation.BLIND_INDEX: BlindIndexItem,
    Operation.WRAP: WrapItem,
    Operation.HASH_PASSWORD: HashPasswordItem,
    Operation.VERIFY_PASSWORD: VerifyPasswordItem,
    Operation.SEAL: SealItem,
    Operation.OPEN: OpenItem,
    Operation.REWRAP: RewrapItem,
}
