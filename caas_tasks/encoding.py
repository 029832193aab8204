"""Unambiguous encodings: length-prefixed parts, strict JSON, UUIDs (docs/spec.md, section 3)."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pydantic_core import to_json

from caas_tasks.errors import InvalidRequestError

UUID_PATTERN: Final = (
    r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
)
_UUID: Final = re.compile(UUID_PATTERN[:-1] + r"\Z")


def lp(*parts: bytes) -> bytes:
    """Each part after its length as a 4-byte big-endian integer: no two lists of parts collide."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in the 8-4-4-4-12 form, either case, and no other."""
    return _UUID.match(text) is not None


def uuid_bytes(text: str) -> bytes:
    """The 16 bytes of a UUID text that `is_uuid` accepts.

    Raises:
        InvalidRequestError: the text has another form.
    """
    if not is_uuid(text):
        raise InvalidRequestError("userUUID: not a UUID in the 8-4-4-4-12 form.")
    return bytes.fromhex(text.replace("-", ""))


class _RejectedError(ValueError):
    """JSON that the standard parser takes and this one does not; holds no input."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RejectedError
    return members


def _no_constant(_name: str) -> Any:
    raise _RejectedError


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def decode_json_object(raw: bytes) -> dict[str, Any]:
    """Parse one JSON object strictly (RFC 8259 plus RFC 7493's rule against duplicate names).

    Raises:
        InvalidRequestError: not UTF-8, not JSON, a name twice in one object, NaN or Infinity,
            nested too deep, or not an object. The parser's own exception, which holds the
            input, is gone before this one is raised.
    """
    problem = "The body is not valid JSON."
    try:
        value = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        value = None
    else:
        problem = "The body is not a JSON object."
    if not isinstance(value, dict):
        raise InvalidRequestError(problem)
    return value


def encode_json(value: object) -> bytes:
    """The compact UTF-8 JSON of `value`; NaN and Infinity, which JSON does not have, become null.

    Raises:
        InvalidRequestError: a text holds a lone surrogate, which UTF-8 cannot carry, or the value
            holds something that has no JSON form.
    """
    try:
        return to_json(value, inf_nan_mode="null")
    except (ValueError, RecursionError):  # pydantic's own error is a ValueError
        pass
    raise InvalidRequestError("A text is not valid Unicode, or a value has no JSON form.")
