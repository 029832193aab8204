"""The answers to items as models: what the gateway documents (docs/spec.md, section 5)."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from caas_tasks.names import Operation


class VersionedValue(BaseModel):
    """A value and the key version that made it."""

    model_config = ConfigDict(frozen=True)
    encrypted_data: str
    key_version: int


class EncryptAnswer(VersionedValue):
    """Answer of `encrypt`."""


class VerifyAnswer(BaseModel):
    """Answer of `verify`."""

    model_config = ConfigDict(frozen=True)
    valid: bool
    needs_update: bool


class CandidatesAnswer(BaseModel):
    """Answer of `candidates`: newest key version first."""

    model_config = ConfigDict(frozen=True)
    candidates: list[VersionedValue]


class VersionedIndex(BaseModel):
    """A blind index and the key version that made it."""

    model_config = ConfigDict(frozen=True)
    index: str
    key_version: int


class BlindIndexAnswer(BaseModel):
    """Answer of `blind_index`: newest key version first."""

    model_config = ConfigDict(frozen=True)
    indexes: list[VersionedIndex]


class WrapAnswer(BaseModel):
    """Answer of `wrap`."""

    model_config = ConfigDict(frozen=True)
    wrapped: str
    key_version: int


class HashPasswordAnswer(BaseModel):
    """Answer of `hash_password`."""

    model_config = ConfigDict(frozen=True)
    hash: str


class VerifyPasswordAnswer(BaseModel):
    """Answer of `verify_password`: a new hash only when the password was right and one is due."""

    model_config = ConfigDict(frozen=True)
    valid: bool
    needs_update: bool
    hash: str | None = None


class SealAnswer(BaseModel):
    """Answer of `seal`."""

    model_config = ConfigDict(frozen=True)
    token: str


class OpenAnswer(BaseModel):
    """Answer of `open`: base64."""

    model_config = ConfigDict(frozen=True)
    plaintext: str


class RewrapAnswer(BaseModel):
    """Answer of `rewrap`."""

    model_config = ConfigDict(frozen=True)
    token: str
    changed: bool


ANSWER_MODELS: Final[dict[Operation, type[BaseModel]]] = {
    Operation.ENCRYPT: EncryptAnswer,
    Operation.VERIFY: VerifyAnswer,
    Operation.CANDIDATES: CandidatesAnswer,
    Operation.BLIND_INDEX: BlindIndexAnswer,
    Operation.WRAP: WrapAnswer,
    Operation.HASH_PASSWORD: HashPasswordAnswer,
    Operation.VERIFY_PASSWORD: VerifyPasswordAnswer,
    Operation.SEAL: SealAnswer,
    Operation.OPEN: OpenAnswer,
    Operation.REWRAP: RewrapAnswer,
}
