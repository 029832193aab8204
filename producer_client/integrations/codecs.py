"""What a sealed column holds: text, bytes or JSON, and the bytes that are sealed for each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from caas_tasks.errors import InvalidRequestError, UndecryptableError


@dataclass(frozen=True, slots=True)
class Codec:
    """A kind of value and its bytes.

    Attributes:
        encode: the bytes of a value; raises InvalidRequestError for another type.
        decode: the value of those bytes; raises UndecryptableError for bytes of another kind.
    """

    name: str
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def _encode_text(value: Any) -> bytes:
    encoded = None
    if isinstance(value, str):
        try:
            encoded = value.encode()
        except UnicodeEncodeError:
            pass
    if encoded is None:
        raise InvalidRequestError("A sealed text column takes a text of Unicode characters.")
    return encoded


def _decode_text(data: bytes) -> str:
    text = None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        pass
    if text is None:
        raise UndecryptableError
    return text


def _encode_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise InvalidRequestError("A sealed bytes column takes bytes.")
    return bytes(value)


def _encode_json(value: Any) -> bytes:
    encoded = None
    try:
        encoded = json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
    except (TypeError, ValueError, RecursionError):
        pass
    if encoded is None:
        raise InvalidRequestError("A sealed JSON column takes what JSON can say.")
    return encoded


def _decode_json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        pass
    raise UndecryptableError


TEXT: Final = Codec("text", _encode_text, _decode_text)
BYTES: Final = Codec("bytes", _encode_bytes, bytes)
JSON: Final = Codec("json", _encode_json, _decode_json)
