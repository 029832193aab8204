"""From a payload to items, and from answers to a payload (docs/spec.md, sections 5 to 7).

One message carries one API key and one to `MAX_ITEMS` items of one operation. A bad item becomes an
error in its place and never fails its neighbours. Nothing here ever puts a value that came in into
an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from caas_tasks.encoding import decode_json_object, encode_json
from caas_tasks.errors import InvalidRequestError, PayloadTooLargeError, ServiceError
from caas_tasks.items import ITEM_MODELS, Item, Referenced
from caas_tasks.limits import MAX_ITEM_BYTES, MAX_ITEMS
from caas_tasks.names import Field, Operation

_LISTS: Final[dict[Operation, TypeAdapter[list[Any]]]] = {
    operation: TypeAdapter(list[model])  # type: ignore[valid-type] # a run-time generic
    for operation, model in ITEM_MODELS.items()
}

_REASONS: Final = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_unicode": "is not valid Unicode",
    "int_type": "must be an integer",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "base64": "is not canonical base64",
    "string_pattern_mismatch": "is not of the expected form",
    "greater_than_equal": "is out of range",
    "less_than_equal": "is out of range",
}


_DATA_FIELDS: Final = frozenset(
    {Field.SENSITIVE_DATA, Field.VALUE, Field.PASSWORD, Field.PLAINTEXT, Field.TOKEN}
)


def _refusal(error: ValidationError, model: type[Item]) -> ServiceError:
    """What a validation error becomes: a known field's name and a reason, nothing that came in."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    location = first["loc"][0] if first["loc"] else None
    if first["type"] == "string_too_long" and location in _DATA_FIELDS:
        return _too_large()
    known = {info.alias or name for name, info in model.model_fields.items()}
    # A field's name that is not valid Unicode is reported without a location.
    if first["type"] == "extra_forbidden" or (first["type"] == "string_unicode" and not location):
        return InvalidRequestError("An unknown field is present.")
    if location not in known:
        return InvalidRequestError("An item must be a JSON object.")
    return InvalidRequestError(f"{location} {_REASONS.get(first['type'], 'is not valid')}.")


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(f"The data of an item is over {MAX_ITEM_BYTES} bytes.")


def parse_item(operation: Operation, raw: object) -> Item:
    """One item from its JSON value.

    Raises:
        InvalidRequestError: a field is missing, unknown or of the wrong form.
        PayloadTooLargeError: the data is over `MAX_ITEM_BYTES`.
    """
    model = ITEM_MODELS[operation]
    refusal: ServiceError
    try:
        item = model.model_validate(raw)
    except ValidationError as error:
        refusal = _refusal(error, model)
    else:
        if not _is_too_large(item):
            return item
        refusal = _too_large()
    raise refusal  # outside the handler: pydantic's error is no longer attached


def _is_too_large(item: Item) -> bool:
    text = item.size_checked_text()
    if len(text) * 4 <= MAX_ITEM_BYTES:  # UTF-8 takes at most four bytes a character
        return False
    return len(text.encode()) > MAX_ITEM_BYTES


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """A bad item's place in a batch: its error, and its reference when it has one."""

    error: ServiceError
    reference: str | None


def parse_items(operation: Operation, raw_items: object) -> list[Item | RefusedItem]:
    """The items of a batch in order, a bad one as a `RefusedItem`.

    Raises:
        InvalidRequestError: not a list, or an empty one.
        PayloadTooLargeError: more than `MAX_ITEMS`.
    """
    if not isinstance(raw_items, list) or not raw_items:
        raise InvalidRequestError("items must be a list with at least one item.")
    if len(raw_items) > MAX_ITEMS:
        raise PayloadTooLargeError(f"A batch has at most {MAX_ITEMS} items.")
    try:
        items: list[Item] = _LISTS[operation].validate_python(raw_items)
    except ValidationError:
        pass
    else:
        if not any(map(_is_too_large, items)):
            return list(items)
    return [_item_or_refusal(operation, raw) for raw in raw_items]


def _item_or_refusal(operation: Operation, raw: object) -> Item | RefusedItem:
    try:
        return parse_item(operation, raw)
    except ServiceError as error:
        # Without its traceback, whose frames hold the item.
        return RefusedItem(error.with_traceback(None), _reference_of(raw))


def _reference_of(raw: object) -> str | None:
    reference = raw.get(Field.REFERENCE) if isinstance(raw, dict) else None
    try:
        return Referenced.model_validate({Field.REFERENCE: reference}).reference
    except ValidationError:
        return None


def parse_request(operation: Operation, payload: bytes) -> tuple[str, list[Item | RefusedItem]]:
    """The API key and the items of a message's payload.

    Raises:
        InvalidRequestError: not strict JSON, an unknown or missing field, or no items.
        PayloadTooLargeError: too many items.
    """
    body = decode_json_object(payload)
    if body.keys() != {Field.API_KEY, Field.ITEMS}:
        raise InvalidRequestError("A request has the fields apiKey and items and no other.")
    api_key = body[Field.API_KEY]
    if not isinstance(api_key, str):
        raise InvalidRequestError("apiKey must be a string.")
    return api_key, parse_items(operation, body[Field.ITEMS])


def encode_request(api_key: str, raw_items: list[dict[str, Any]]) -> bytes:
    """The payload of a request message; the other direction of `parse_request`."""
    return encode_json({Field.API_KEY: api_key, Field.ITEMS: raw_items})


def with_reference(answer: dict[str, Any], reference: str | None) -> dict[str, Any]:
    """The answer to an item, echoing its reference when it has one."""
    return answer if reference is None else {**answer, Field.REFERENCE: reference}


def error_body(error: ServiceError) -> dict[str, Any]:
    """An error as it stands in an answer: code, message and, where it has one, retry_after."""
    body: dict[str, Any] = {Field.CODE: error.code, Field.MESSAGE: error.message}
    if error.retry_after_s is not None:
        body[Field.RETRY_AFTER] = error.retry_after_s
    return {Field.ERROR: body}
