"""Every name that crosses a process boundary, in one place (docs/spec.md, sections 3, 5 and 9)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

TASK_PREFIX: Final = "caas."

ABOUT: Final = "caas_about"
"""The remote control command that asks workers what they are."""


class Lane(StrEnum):
    """A Celery queue with its own delivery promise (section 9)."""

    FAST = "caas.fast"
    PASSWORD = "caas.password"  # noqa: S105 - a queue's name, not a secret
    BULK = "caas.bulk"


class Operation(StrEnum):
    """What a worker can be asked to do (section 5); the value is the scope an API key needs."""

    ENCRYPT = "encrypt"
    VERIFY = "verify"
    CANDIDATES = "candidates"
    BLIND_INDEX = "blind_index"
    WRAP = "wrap"
    HASH_PASSWORD = "hash_password"  # noqa: S105 - an operation's name, not a secret
    VERIFY_PASSWORD = "verify_password"  # noqa: S105 - the same
    SEAL = "seal"
    OPEN = "open"
    REWRAP = "rewrap"

    @property
    def lane(self) -> Lane:
        """The queue that its requests wait in, unless they are a bulk job's."""
        return Lane.PASSWORD if self in _PASSWORD_OPERATIONS else Lane.FAST

    @property
    def task_name(self) -> str:
        """The Celery task's name, which the envelope binds each message to."""
        return TASK_PREFIX + self.value


_PASSWORD_OPERATIONS: Final = frozenset({Operation.HASH_PASSWORD, Operation.VERIFY_PASSWORD})

SCOPES: Final = tuple(operation.value for operation in Operation)

API_KEYS_USED: Final = "caas:apikey:used"
"""Redis hash, from an API key's id to the Unix time in seconds when a worker last accepted it."""


class Field:
    """The field names of requests and answers, as they stand in the JSON payload (section 6)."""

    API_KEY: Final = "apiKey"
    ITEMS: Final = "items"
    REFERENCE: Final = "reference"
    USER_UUID: Final = "userUUID"
    SENSITIVE_DATA: Final = "sensitiveData"
    ENCRYPTED_DATA: Final = "encrypted_data"
    KEY_VERSION: Final = "key_version"
    LEGACY_DIGEST: Final = "legacyDigest"
    FIELD: Final = "field"
    VALUE: Final = "value"
    VALID: Final = "valid"
    NEEDS_UPDATE: Final = "needs_update"
    CANDIDATES: Final = "candidates"
    INDEXES: Final = "indexes"
    WRAPPED: Final = "wrapped"
    PASSWORD: Final = "password"  # noqa: S105 - a field's name, not a secret
    HASH: Final = "hash"
    PLAINTEXT: Final = "plaintext"
    CONTEXT: Final = "context"
    TOKEN: Final = "token"  # noqa: S105 - the same
    CHANGED: Final = "changed"
    ERROR: Final = "error"
    CODE: Final = "code"
    MESSAGE: Final = "message"
    RETRY_AFTER: Final = "retry_after"
