"""Reading a request: media type, size and time first, then strict JSON, then the API key.

Nothing is read of a body that says it is too large, and reading stops at the byte that shows it is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Receive, Scope

from caas_tasks.api_key import parse_id
from caas_tasks.encoding import decode_json_object
from caas_tasks.errors import InvalidRequestError, PayloadTooLargeError
from caas_tasks.limits import MAX_ITEM_BYTES, MAX_PAYLOAD_BYTES
from caas_tasks.names import Field

ESCAPE_FACTOR: Final = 6
r"""JSON may write one byte of text as the six characters `\u0041` (RFC 8259, section 7)."""

MAX_SINGLE_BODY_BYTES: Final = ESCAPE_FACTOR * MAX_ITEM_BYTES + 16 * 1024
"""Largest body of one item: the largest data, every byte escaped, and room for the other fields."""

MAX_BATCH_BODY_BYTES: Final = ESCAPE_FACTOR * MAX_PAYLOAD_BYTES
"""Largest body of a batch: one full message with every byte escaped, or six messages without."""

READ_TIMEOUT_S: Final = 30.0
"""How long a body may take to arrive, in seconds: a stalled sender holds no place forever."""

_JSON: Final = b"application/json"
_BEARER: Final = b"bearer"


class ClientGoneError(Exception):
    """The caller hung up before its request was complete: there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the gateway looks at of a request's headers.

    Attributes:
        bearer: the API key of the Authorization header, or None.
    """

    content_type: bytes
    content_encoding: bytes
    content_length: int | None
    bearer: str | None


def read_head(scope: Scope) -> Head:
    """The headers that matter.

    Raises:
        InvalidRequestError: an Authorization header that is not one `Bearer <API key>`.
    """
    content_type = content_encoding = b""
    content_length: int | None = None
    bearer: str | None = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length":
            content_length = int(value) if value.isdigit() else None
        elif name == b"content-encoding":
            content_encoding = value
        elif name == b"authorization":
            if bearer is not None:
                raise InvalidRequestError("More than one Authorization header is present.")
            bearer = _bearer(value)
    return Head(content_type, content_encoding, content_length, bearer)


def _bearer(value: bytes) -> str:
    scheme, _, credentials = value.partition(b" ")
    credentials = credentials.strip()
    if scheme.lower() != _BEARER or not credentials:
        raise InvalidRequestError("Authorization must be: Bearer, a space and the API key.")
    # Latin-1 takes any byte; what is not an API key is refused as one later.
    return credentials.decode("latin-1")


async def read_object(head: Head, receive: Receive, limit_bytes: int) -> dict[str, Any]:
    """The JSON object that a request carries.

    Raises:
        InvalidRequestError: another media type, no body, not strict JSON, or not in time.
        PayloadTooLargeError: more than `limit_bytes`.
        ClientGoneError: the caller hung up.
    """
    if head.content_type.partition(b";")[0].strip().lower() != _JSON:
        raise InvalidRequestError("Content-Type must be application/json.")
    if head.content_encoding.strip().lower() not in {b"", b"identity"}:
        raise InvalidRequestError("A compressed body is not taken.")
    if head.content_length is not None and head.content_length > limit_bytes:
        raise _too_large(limit_bytes)
    raw = await _read(receive, limit_bytes)
    if not raw:
        raise InvalidRequestError("The request has no body.")
    return decode_json_object(raw)


async def _read(receive: Receive, limit_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size_bytes = 0
    is_late = False
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                chunk = message.get("body", b"")
                size_bytes += len(chunk)
                if size_bytes > limit_bytes:
                    raise _too_large(limit_bytes)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        is_late = True
    if is_late:
        raise InvalidRequestError("The body did not arrive in time.")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"The body is over {limit_bytes} bytes.")


def take_api_key(head: Head, body: dict[str, Any]) -> str:
    """The API key, removed from the body. Only its form is checked here; workers authenticate.

    Raises:
        InvalidRequestError: none, two different ones, or not a string.
        UnauthorizedError: it can't be an API key, so that no worker need be asked.
    """
    api_key = head.bearer
    if Field.API_KEY in body:
        api_key = body.pop(Field.API_KEY)
        if not isinstance(api_key, str):
            raise InvalidRequestError("apiKey must be a string.")
        if head.bearer is not None and head.bearer != api_key:
            raise InvalidRequestError("The body and the Authorization header differ in API key.")
    if api_key is None:
        raise InvalidRequestError("apiKey is required, in the body or as Authorization: Bearer.")
    parse_id(api_key)
    return api_key
