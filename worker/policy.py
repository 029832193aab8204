"""Who may ask for what: the checks of docs/spec.md, section 7, each a function, in order."""

from __future__ import annotations

import hmac
from typing import Final

from caas_tasks import api_key
from caas_tasks.errors import (
    ForbiddenError,
    InvalidRequestError,
    RequestTimeoutError,
    UnauthorizedError,
)
from caas_tasks.limits import CLOCK_TOLERANCE_MS, MAX_LIFETIME_MS
from caas_tasks.names import Operation
from worker.keyring import Keyring
from worker.keystore.document import API_KEY_DIGEST_BYTES, ApiKey

_NO_DIGEST: Final = bytes(API_KEY_DIGEST_BYTES)


def authenticate(keyring: Keyring, text: str, now_ms: int) -> ApiKey:
    """The record of an API key that may be used now.

    Raises:
        UnauthorizedError: malformed, unknown, wrong, expired or revoked: one answer for all.
    """
    record = keyring.api_key(api_key.parse_id(text))
    # Hashed and compared for an unknown id too, so that the time does not tell which ids exist.
    expected = _NO_DIGEST if record is None else record.digest
    matches = hmac.compare_digest(api_key.digest(text), expected)
    if record is None or not matches or not record.is_valid_at(now_ms / 1_000):
        raise UnauthorizedError
    return record


def check_expiry(expiry_ms: int, now_ms: int) -> None:
    """Refuse a message whose caller has stopped waiting, or that would stay valid for too long.

    Raises:
        RequestTimeoutError: the expiry has passed, clocks allowed for.
        InvalidRequestError: the expiry lies further ahead than any lane waits.
    """
    if now_ms > expiry_ms + CLOCK_TOLERANCE_MS:
        raise RequestTimeoutError("The message expired before a worker took it.")
    if expiry_ms - now_ms > MAX_LIFETIME_MS:
        raise InvalidRequestError("The message's expiry lies too far ahead.")


def check_scope(record: ApiKey, operation: Operation) -> None:
    """Refuse an operation that the API key was not made for.

    Raises:
        ForbiddenError: the scope is missing.
    """
    if operation.value not in record.scopes:
        raise ForbiddenError
