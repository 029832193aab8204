"""Bytes inside JSON: base64 of the standard alphabet, canonical, sizes first (docs/spec.md, 7)."""

from __future__ import annotations

import binascii
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


def encode_base64(raw: bytes) -> str:
    """Base64 of the standard alphabet with padding (RFC 4648, section 4)."""
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def decode_base64(text: str) -> bytes | None:
    """The bytes of a canonical text, or None for any other: one value has one text."""
    raw = None
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error is one; it and a text that is not ASCII end here
        return None
    # Only the last group can hold trailing bits that the decoder drops.
    tail = encode_base64(raw[len(raw) - (len(raw) % 3 or 3) :]) if raw else ""
    return raw if text[-4:] == tail else None


def base64_chars(raw_bytes: int) -> int:
    """The length of the base64 of so many bytes."""
    return 4 * -(-raw_bytes // 3)


class Base64Field:
    """Marks a model's `bytes` that arrives as base64 text of at most `max_bytes` decoded.

    Used as `Annotated[bytes, Base64Field(…)]`. An error tells the field and the reason, no value.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": "string",
            "contentEncoding": "base64",
            "maxLength": base64_chars(self._max_bytes),
        }

    def _read(self, value: object) -> bytes:
        if not isinstance(value, str):
            raise PydanticCustomError("string_type", "not a string")
        if len(value) > base64_chars(self._max_bytes):
            raise PydanticCustomError("string_too_long", "too long")
        raw = decode_base64(value)
        if raw is None:
            raise PydanticCustomError("base64", "not canonical base64")
        if len(raw) > self._max_bytes:  # base64 rounds up to whole groups
            raise PydanticCustomError("string_too_long", "too long")
        return raw
