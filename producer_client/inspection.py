"""What a stored value is, told offline and without any key: `inspect`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from caas_tasks.errors import InvalidRequestError
from caas_tasks.stored_forms import parse_password_hash, parse_token


@dataclass(frozen=True, slots=True)
class Inspection:
    """What anyone can see of a token or a password hash.

    Attributes:
        kind: `token` or `password_hash`.
        key_version: which generation of keys made it.
        profile: the form's version for a token (`caas1`); for a password hash the name of the
            parameters, or None when they have no name.
        algorithm: what protects the value.
    """

    kind: Literal["token", "password_hash"]
    key_version: int
    profile: str | None
    algorithm: str


def inspect(value: str) -> Inspection:
    """What a token or a password hash is. Says nothing about whether it is authentic.

    Raises:
        InvalidRequestError: neither a token nor a password hash of this service.
    """
    if isinstance(value, str):
        token = parse_token(value)
        if token is not None:
            return Inspection("token", token.key_version, "caas1", "AES-256-GCM")
        stored = parse_password_hash(value)
        if stored is not None:
            cost = stored.parameters
            algorithm = f"Argon2id m={cost.memory_kib},t={cost.time_cost},p={cost.parallelism}"
            return Inspection("password_hash", stored.key_version, stored.profile, algorithm)
    raise InvalidRequestError("The value is neither a token nor a password hash.")
