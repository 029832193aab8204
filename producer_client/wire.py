"""From arguments to wire items and from answers to results; no I/O, shared by both clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from caas_tasks.base64_field import decode_base64, encode_base64
from caas_tasks.encoding import encode_json
from caas_tasks.errors import InternalError, InvalidRequestError, PayloadTooLargeError
from caas_tasks.limits import MAX_CONTEXT_BYTES, MAX_ITEM_BYTES
from caas_tasks.names import Field, Lane, Operation
from caas_tasks.stored_forms import MAX_TOKEN_CHARS
from producer_client.results import (
    BlindIndex,
    Encrypted,
    PasswordVerification,
    Rewrapped,
    Verification,
    Wrapped,
)

WireItem = dict[str, Any]
Answer = dict[str, Any]

CHUNK_ITEMS: Final = 500
"""Items of one message of `encrypt_many`: large enough that a message's own cost vanishes, small
enough that another caller's request waits only milliseconds behind it."""

MAX_CHAR_BYTES: Final = 6
"""Most bytes that JSON makes of a character: a control character becomes `\\u0001`."""

CHUNK_BYTES: Final = 512 * 1024
"""Most bytes of text in such a message, at `MAX_CHAR_BYTES` each; the last item may exceed it."""

_LONG_CHARS: Final = 1_024


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


def password_item(user_uuid: str | UUID, password: str) -> WireItem:
    """The item of `hash_password`."""
    return {Field.USER_UUID: _uuid(user_uuid), Field.PASSWORD: _data(password, "password")}


def verify_password_item(user_uuid: str | UUID, password: str, stored_hash: str | None) -> WireItem:
    """The item of `verify_password`."""
    item = password_item(user_uuid, password)
    if stored_hash is not None:
        item[Field.HASH] = _text(stored_hash, "stored_hash")
    return item


def seal_item(user_uuid: str | UUID, plaintext: bytes, context: bytes) -> WireItem:
    """The item of `seal`.

    Raises:
        InvalidRequestError: an argument has another type, or the context is too long.
        PayloadTooLargeError: the plaintext is over `MAX_ITEM_BYTES`.
    """
    item = {Field.USER_UUID: _uuid(user_uuid), Field.PLAINTEXT: _bytes(plaintext, "plaintext")}
    return _with_context(item, context)


def token_item(user_uuid: str | UUID, token: str, context: bytes) -> WireItem:
    """The item of `open` and `rewrap`."""
    if len(_text(token, "token")) > MAX_TOKEN_CHARS:
        raise PayloadTooLargeError(f"token is over {MAX_TOKEN_CHARS} characters.")
    return _with_context({Field.USER_UUID: _uuid(user_uuid), Field.TOKEN: token}, context)


def _with_context(item: WireItem, context: bytes) -> WireItem:
    text = _bytes(context, "context")
    if len(context) > MAX_CONTEXT_BYTES:
        raise InvalidRequestError(f"context is over {MAX_CONTEXT_BYTES} bytes.")
    if text:
        item[Field.CONTEXT] = text
    return item


def most_items(operation: Operation) -> int:
    """Most items of one message: passwords travel alone, so that all workers share them."""
    return 1 if operation.lane is Lane.PASSWORD else CHUNK_ITEMS


def item_bytes(item: WireItem) -> int:
    """Bound on the bytes of JSON that an item's texts become."""
    total = 0
    for value in item.values():  # a loop: this runs for every item of `encrypt_many`
        if isinstance(value, str):
            total += MAX_CHAR_BYTES * len(value) if len(value) < _LONG_CHARS else _long_bytes(value)
    return total


def _long_bytes(value: str) -> int:
    # Base64 and tokens are the long ones: of printable ASCII only a quote and \\ are escaped.
    is_plain = value.isascii() and value.isprintable()
    return (2 if is_plain else MAX_CHAR_BYTES) * len(value)


def portions(operation: Operation, items: Sequence[WireItem]) -> Iterator[Sequence[WireItem]]:
    """Items in the portions that are sent together: bounded in number and size."""
    start = size_bytes = 0
    most = most_items(operation)
    for index, item in enumerate(items):
        this_bytes = item_bytes(item)
        is_full = index - start == most or size_bytes + this_bytes > CHUNK_BYTES
        if index > start and is_full:
            yield items[start:index]
            start, size_bytes = index, 0
        size_bytes += this_bytes
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


def read_hash(answer: Answer) -> str:
    """The result of `hash_password`."""
    text: str = _get(answer, Field.HASH, str)
    return text


def read_password_verification(answer: Answer) -> PasswordVerification:
    """The result of `verify_password`."""
    valid = _get(answer, Field.VALID, bool)
    needs_update = _get(answer, Field.NEEDS_UPDATE, bool)
    new_hash = _get(answer, Field.HASH, str) if needs_update else None
    return PasswordVerification(valid, needs_update, new_hash)


def read_token(answer: Answer) -> str:
    """The result of `seal`."""
    text: str = _get(answer, Field.TOKEN, str)
    return text


def read_plaintext(answer: Answer) -> bytes:
    """The result of `open`."""
    plaintext = decode_base64(_get(answer, Field.PLAINTEXT, str))
    if plaintext is None:
        raise InternalError("The worker's answer is not of the expected form.")
    return plaintext


def read_rewrapped(answer: Answer) -> Rewrapped:
    """The result of `rewrap`."""
    return Rewrapped(_get(answer, Field.TOKEN, str), _get(answer, Field.CHANGED, bool))


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


def _bytes(value: object, name: str) -> str:
    if not isinstance(value, bytes):
        raise InvalidRequestError(f"{name} must be bytes.")
    if len(value) > MAX_ITEM_BYTES:
        raise PayloadTooLargeError(f"{name} is over {MAX_ITEM_BYTES} bytes.")
    return encode_base64(value)
