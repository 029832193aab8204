"""From arguments to wire items and from answers to results; no I/O, shared by both clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from caas_tasks.encoding import encode_json
from caas_tasks.errors import InternalError, InvalidRequestError, PayloadTooLargeError
from caas_tasks.limits import MAX_ITEM_BYTES
from caas_tasks.names import Field
from producer_client.results import BlindIndex, Encrypted, Verification, Wrapped

WireItem = dict[str, Any]
Answer = dict[str, Any]

CHUNK_ITEMS: Final = 500
"""Items of one message of `encrypt_many`: large enough that a message's own cost vanishes, small
enough that another caller's request waits only milliseconds behind it."""

MAX_CHAR_BYTES: Final = 6
"""Most bytes that JSON makes of a character: a control character becomes `\\u0001`."""

CHUNK_BYTES: Final = 512 * 1024
"""Most bytes of text in such a message, at `MAX_CHAR_BYTES` each; the last item may exceed it."""


def encrypt_item(user_uuid: str | UUID, data: str) -> WireItem:
    """The item of `encrypt` and `candidates`.

    Raises:
        InvalidRequestError: an argument has another type.
        PayloadTooLargeError: the data is over `MAX_ITEM_BYTES`.
    """
    return {Field.USER_UUID: _uuid(user_uuid), Field.SENSITIVE_DATA: _data(data, "data")}


def verify_item(
    user_uuid: str | UUID, data: str, encrypted_data: str, key_version: int | None
) -> WireItem:
    """The item of `verify`."""
    item = encrypt_item(user_uuid, data)
    item[Field.ENCRYPTED_DATA] = _text(encrypted_data, "encrypted_data")
    if key_version is not None:
        item[Field.KEY_VERSION] = key_version
    return item


def blind_index_item(field: str, value: str) -> WireItem:
    """The item of `blind_index`."""
    return {Field.FIELD: _text(field, "field"), Field.VALUE: _data(value, "value")}


def wrap_item(user_uuid: str | UUID, legacy_digest: str) -> WireItem:
    """The item of `wrap`."""
    return {
        Field.USER_UUID: _uuid(user_uuid),
        Field.LEGACY_DIGEST: _text(legacy_digest, "legacy_digest"),
    }


def portions(items: Sequence[WireItem]) -> Iterator[Sequence[WireItem]]:
    """Items in the portions that are sent together: bounded in number and size."""
    start = size_bytes = 0
    for index, item in enumerate(items):
        item_bytes = sum(
            MAX_CHAR_BYTES * len(value) for value in item.values() if isinstance(value, str)
        )
        is_full = index - start == CHUNK_ITEMS or size_bytes + item_bytes > CHUNK_BYTES
        if index > start and is_full:
            yield items[start:index]
            start, size_bytes = index, 0
        size_bytes += item_bytes
    if start < len(items):
        yield items[start:]


def read_encrypted(answer: Answer) -> Encrypted:
    """The result of `encrypt`."""
    return Encrypted(_get(answer, Field.ENCRYPTED_DATA, str), _get(answer, Field.KEY_VERSION, int))


def read_verification(answer: Answer) -> Verification:
    """The result of `verify`."""
    return Verification(_get(answer, Field.VALID, bool), _get(answer, Field.NEEDS_UPDATE, bool))


def read_candidates(answer: Answer) -> tuple[Encrypted, ...]:
    """The result of `candidates`."""
    return tuple(read_encrypted(entry) for entry in _get(answer, Field.CANDIDATES, list))


def read_blind_indexes(answer: Answer) -> tuple[BlindIndex, ...]:
    """The result of `blind_index`."""
    return tuple(
        BlindIndex(_get(entry, "index", str), _get(entry, Field.KEY_VERSION, int))
        for entry in _get(answer, Field.INDEXES, list)
    )


def read_wrapped(answer: Answer) -> Wrapped:
    """The result of `wrap`."""
    return Wrapped(_get(answer, Field.WRAPPED, str), _get(answer, Field.KEY_VERSION, int))


def _get(answer: Any, name: str, kind: type) -> Any:
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, kind):
        raise InternalError("The worker's answer is not of the expected form.")
    return value


def _uuid(value: str | UUID) -> str:
    if isinstance(value, UUID):
        return str(value)
    return _text(value, "user_uuid")


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name} must be a string.")
    if not value.isascii():
        encode_json(value)  # refuses a lone surrogate here, so that it can't fail its neighbours
    return value


def _data(value: object, name: str) -> str:
    text = _text(value, name)
    if len(text) > MAX_ITEM_BYTES:  # the worker counts the exact bytes
        raise PayloadTooLargeError(f"{name} is over {MAX_ITEM_BYTES} bytes.")
    return text
