"""Items, batches and answers: strict models, limits at their edges, errors without input."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from caas_tasks import items, messages
from caas_tasks.answers import ANSWER_MODELS
from caas_tasks.errors import (
    InternalError,
    InvalidRequestError,
    PayloadTooLargeError,
    RateLimitedError,
)
from caas_tasks.messages import RefusedItem, parse_item, parse_items, parse_request
from caas_tasks.names import Operation

UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
MARKER = "canary-1f0b"
DATA_LIMIT = 65_536
TOO_LARGE = "The data of an item is over 65536 bytes."

GOOD: dict[Operation, dict[str, Any]] = {
    Operation.ENCRYPT: {"userUUID": UUID, "sensitiveData": "x"},
    Operation.CANDIDATES: {"userUUID": UUID, "sensitiveData": "x"},
    Operation.VERIFY: {
        "userUUID": UUID,
        "sensitiveData": "x",
        "encrypted_data": "0a" * 48,
        "key_version": 1,
    },
    Operation.BLIND_INDEX: {"field": "email", "value": "x"},
    Operation.WRAP: {"userUUID": UUID, "legacyDigest": "d41d8cd98f00b204e9800998ecf8427e"},
    Operation.HASH_PASSWORD: {"userUUID": UUID, "password": "p4ssword"},
    Operation.VERIFY_PASSWORD: {"userUUID": UUID, "password": "p4ssword", "hash": "$some-hash"},
    Operation.SEAL: {"userUUID": UUID, "plaintext": "cGxhaW4=", "context": "Y29udGV4dA=="},
    Operation.OPEN: {"userUUID": UUID, "token": "caas1.token", "context": "Y29udGV4dA=="},
    Operation.REWRAP: {"userUUID": UUID, "token": "caas1.token", "context": "Y29udGV4dA=="},
}
OPTIONAL = {"key_version", "hash", "context"}


def refusal(operation: Operation, raw: object) -> str:
    """The message that an item is refused with, having checked that nothing hangs on the error."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_item(operation, raw)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    return caught.value.message


@pytest.mark.parametrize("operation", Operation)
def test_good_items_are_read(operation: Operation) -> None:
    """An item with every field is read under the operation's own model, and is frozen."""
    item = parse_item(operation, {**GOOD[operation], "reference": "row 7"})
    assert type(item) is items.ITEM_MODELS[operation]
    assert item.reference == "row 7"
    with pytest.raises(ValidationError):
        item.reference = "row 8"  # type: ignore[misc]


def test_fields_arrive_in_their_places() -> None:
    """Wire names become attributes."""
    item = parse_item(Operation.VERIFY, GOOD[Operation.VERIFY])
    assert item.model_dump() == {
        "reference": None,
        "user_uuid": UUID,
        "sensitive_data": "x",
        "encrypted_data": "0a" * 48,
        "key_version": 1,
    }


@pytest.mark.parametrize("operation", Operation)
def test_repr_shows_no_input(operation: Operation) -> None:
    """The text form of an item shows none of the values that came in."""
    item = parse_item(operation, {**GOOD[operation], "reference": MARKER})
    shown = repr(item) + str(item)
    assert MARKER not in shown
    assert not any(str(v) in shown for v in GOOD[operation].values() if len(str(v)) > 4)


REQUIRED = [
    (operation, name) for operation, item in GOOD.items() for name in item if name not in OPTIONAL
]


@pytest.mark.parametrize(("operation", "name"), REQUIRED)
def test_missing_field(operation: Operation, name: str) -> None:
    """A field that is missing is named."""
    raw = {key: value for key, value in GOOD[operation].items() if key != name}
    assert refusal(operation, raw) == f"{name} is required."


@pytest.mark.parametrize(("operation", "name"), REQUIRED)
@pytest.mark.parametrize("value", [None, 7, 1.5, True, [MARKER], {MARKER: MARKER}])
def test_wrong_type(operation: Operation, name: str, value: object) -> None:
    """A field of the wrong type is named; nothing is converted."""
    assert refusal(operation, {**GOOD[operation], name: value}) == f"{name} must be a string."


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize(
    "name", [MARKER, "user_uuid", "sensitive_data", "field_name", "", "\ud800"]
)
def test_unknown_field(operation: Operation, name: str) -> None:
    """An unknown field is refused, and is not named: the name came in too."""
    assert refusal(operation, {**GOOD[operation], name: "x"}) == "An unknown field is present."


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("raw", [None, 7, MARKER, [MARKER], [[MARKER, 1]], True])
def test_item_that_is_no_object(operation: Operation, raw: object) -> None:
    """An item is a JSON object and nothing else."""
    assert refusal(operation, raw) == "An item must be a JSON object."


@pytest.mark.parametrize("uuid", ["{" + UUID + "}", UUID[:-1], UUID + "0", UUID + "\n", "", MARKER])
def test_uuid_form(uuid: str) -> None:
    """A UUID of another form is refused by the field's name alone."""
    raw = {"userUUID": uuid, "sensitiveData": "x"}
    assert refusal(Operation.ENCRYPT, raw) == "userUUID is not of the expected form."


def test_uuid_in_upper_case() -> None:
    """Upper case is one of the two cases, and is kept as it came: the classic profile reads it."""
    item = parse_item(Operation.ENCRYPT, {"userUUID": UUID.upper(), "sensitiveData": "x"})
    assert item.user_uuid == UUID.upper()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (Operation.ENCRYPT, "sensitiveData"),
        (Operation.BLIND_INDEX, "value"),
        (Operation.HASH_PASSWORD, "password"),
        (Operation.VERIFY_PASSWORD, "password"),
    ],
)
@pytest.mark.parametrize(
    "data", ["", "x" * DATA_LIMIT, "é" * (DATA_LIMIT // 2), "\U0001f511" * 16_384]
)
def test_data_up_to_the_limit(operation: Operation, name: str, data: str) -> None:
    """Empty data and exactly 64 KiB of UTF-8 are taken."""
    item = parse_item(operation, {**GOOD[operation], name: data})
    assert item.size_checked_text() == data


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (Operation.ENCRYPT, "sensitiveData"),
        (Operation.BLIND_INDEX, "value"),
        (Operation.HASH_PASSWORD, "password"),
        (Operation.VERIFY_PASSWORD, "password"),
    ],
)
@pytest.mark.parametrize(
    "data", ["x" * (DATA_LIMIT + 1), "é" * (DATA_LIMIT // 2) + "x", "\U0001f511" * 16_384 + "x"]
)
def test_data_over_the_limit(operation: Operation, name: str, data: str) -> None:
    """One byte of UTF-8 too many is too many, however few characters it is."""
    with pytest.raises(PayloadTooLargeError) as caught:
        parse_item(operation, {**GOOD[operation], name: data})
    assert caught.value.message == TOO_LARGE
    assert caught.value.__context__ is None


@pytest.mark.parametrize(("operation", "name"), REQUIRED)
def test_lone_surrogates(operation: Operation, name: str) -> None:
    """A lone surrogate, which JSON can smuggle in, is refused in every text."""
    assert refusal(operation, {**GOOD[operation], name: "ab\ud800"}).startswith(f"{name} is not ")


@pytest.mark.parametrize("version", [1, 2**32 - 1, None])
def test_key_version_in_range(version: int | None) -> None:
    """A key version counts from 1 and fits four bytes; null is the same as none."""
    raw = {**GOOD[Operation.VERIFY], "key_version": version}
    assert parse_item(Operation.VERIFY, raw).key_version == version  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (0, "is out of range"),
        (-1, "is out of range"),
        (2**32, "is out of range"),
        ("1", "must be an integer"),
        (1.0, "must be an integer"),
        (True, "must be an integer"),
        (float("inf"), "must be an integer"),
        (10**400, "is out of range"),
        ([1], "must be an integer"),
    ],
)
def test_key_version_outside(version: object, reason: str) -> None:
    """A key version of another type or size is refused."""
    raw = {**GOOD[Operation.VERIFY], "key_version": version}
    assert refusal(Operation.VERIFY, raw) == f"key_version {reason}."


@pytest.mark.parametrize("value", ["ab" * 16, "AB" * 64, "aB" * 48])
def test_stored_value_forms(value: str) -> None:
    """Stored values are 32 to 128 hex characters, either case."""
    raw = {**GOOD[Operation.VERIFY], "encrypted_data": value}
    assert parse_item(Operation.VERIFY, raw).encrypted_data == value  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "value", ["", "ab" * 15, "ab" * 64 + "ab", "ab" * 16 + "a", "zz" * 16, "ab" * 16 + "\n", MARKER]
)
def test_other_stored_values(value: str) -> None:
    """A stored value of another form is refused, not answered as a mismatch."""
    raw = {**GOOD[Operation.VERIFY], "encrypted_data": value}
    assert refusal(Operation.VERIFY, raw) == "encrypted_data is not of the expected form."


@pytest.mark.parametrize("digest", ["!", "~" * 1_024, "$2b$12$abc/def."])
def test_legacy_digest_forms(digest: str) -> None:
    """A legacy digest is 1 to 1,024 printable ASCII characters."""
    raw = {**GOOD[Operation.WRAP], "legacyDigest": digest}
    assert parse_item(Operation.WRAP, raw).legacy_digest == digest  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("digest", "reason"),
    [
        ("", "is not of the expected form"),
        ("~" * 1_025, "is too long"),
        ("with space", "is not of the expected form"),
        ("\x7f", "is not of the expected form"),
        ("é", "is not of the expected form"),
        ("abc\n", "is not of the expected form"),
    ],
)
def test_other_legacy_digests(digest: str, reason: str) -> None:
    """A legacy digest of another form is refused."""
    raw = {**GOOD[Operation.WRAP], "legacyDigest": digest}
    assert refusal(Operation.WRAP, raw) == f"legacyDigest {reason}."


@pytest.mark.parametrize(("name", "longest"), [("field", 128), ("reference", 256)])
def test_short_texts(name: str, longest: int) -> None:
    """A field's name and a reference have at least one character and a longest length."""
    for text in ("a", "é" * longest):
        assert parse_item(Operation.BLIND_INDEX, {**GOOD[Operation.BLIND_INDEX], name: text})
    raw = GOOD[Operation.BLIND_INDEX]
    assert refusal(Operation.BLIND_INDEX, {**raw, name: ""}) == f"{name} is too short."
    assert (
        refusal(Operation.BLIND_INDEX, {**raw, name: "a" * (longest + 1)}) == f"{name} is too long."
    )


@pytest.mark.parametrize("items", [None, {}, "x", 7, []])
def test_batch_that_is_no_list(items: object) -> None:
    """A batch is a list with at least one item."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_items(Operation.ENCRYPT, items)
    assert caught.value.message == "items must be a list with at least one item."


def test_batch_of_a_thousand() -> None:
    """A thousand items are read, in order."""
    raw = [{**GOOD[Operation.ENCRYPT], "reference": str(n)} for n in range(1_000)]
    found = parse_items(Operation.ENCRYPT, raw)
    assert [item.reference for item in found] == [str(n) for n in range(1_000)]


def test_batch_of_a_thousand_and_one() -> None:
    """One item more is refused as a whole."""
    with pytest.raises(PayloadTooLargeError) as caught:
        parse_items(Operation.ENCRYPT, [GOOD[Operation.ENCRYPT]] * 1_001)
    assert caught.value.message == "A batch has at most 1000 items."


def test_bad_item_keeps_its_place_and_reference() -> None:
    """A bad item becomes an error in its place; its neighbours are read."""
    good = GOOD[Operation.ENCRYPT]
    first, second, third = parse_items(
        Operation.ENCRYPT,
        [{**good, "reference": "a"}, {"userUUID": 7, "reference": "b"}, good],
    )
    assert isinstance(first, items.EncryptItem)
    assert first.reference == "a"
    assert isinstance(second, RefusedItem)
    assert (second.error, second.reference) == (
        InvalidRequestError("userUUID must be a string."),
        "b",
    )
    assert isinstance(third, items.EncryptItem)


def test_large_item_keeps_its_place() -> None:
    """An item over the size limit in bytes, not in characters, is refused alone."""
    good = GOOD[Operation.ENCRYPT]
    large = {**good, "sensitiveData": "é" * 40_000, "reference": "big"}
    first, second = parse_items(Operation.ENCRYPT, [large, good])
    assert isinstance(first, RefusedItem)
    assert (first.error, first.reference) == (PayloadTooLargeError(TOO_LARGE), "big")
    assert isinstance(second, items.EncryptItem)


@pytest.mark.parametrize(
    "raw", [7, None, "x", {"reference": 7}, {"reference": "a" * 257}, {"reference": "\ud800"}]
)
def test_bad_reference_is_not_echoed(raw: object) -> None:
    """A reference that is no short text is dropped, and the item refused."""
    (refused,) = parse_items(Operation.ENCRYPT, [raw])
    assert isinstance(refused, RefusedItem)
    assert refused.reference is None


def test_refused_items_hold_no_input() -> None:
    """A refused item's error has neither traceback nor context, whose frames hold the item."""
    (refused,) = parse_items(Operation.ENCRYPT, [{"userUUID": MARKER, "sensitiveData": MARKER}])
    assert isinstance(refused, RefusedItem)
    assert refused.error.__traceback__ is None
    assert refused.error.__context__ is None
    assert MARKER not in repr(refused)


def test_request_is_read() -> None:
    """A payload gives the API key and the items; `encode_request` is the other direction."""
    payload = messages.encode_request("key", [GOOD[Operation.WRAP]])
    assert json.loads(payload) == {"apiKey": "key", "items": [GOOD[Operation.WRAP]]}
    api_key, (item,) = parse_request(Operation.WRAP, payload)
    assert api_key == "key"
    assert isinstance(item, items.WrapItem)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"apiKey": "k"},
        {"items": [1]},
        {"apiKey": "k", "items": [1], MARKER: 1},
        {"apikey": "k", "items": [1]},
    ],
)
def test_request_fields(body: dict[str, Any]) -> None:
    """A payload has its two fields and no other."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_request(Operation.ENCRYPT, json.dumps(body).encode())
    assert caught.value.message == "A request has the fields apiKey and items and no other."


@pytest.mark.parametrize("key", [None, 7, True, [MARKER], {"a": MARKER}])
def test_api_key_is_text(key: object) -> None:
    """An API key of another type is a malformed request."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_request(Operation.ENCRYPT, json.dumps({"apiKey": key, "items": [1]}).encode())
    assert caught.value.message == "apiKey must be a string."


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


@given(st.sampled_from(Operation), st.lists(JSON_VALUES, min_size=1, max_size=4))
def test_any_items_are_read_or_refused(operation: Operation, raw: list[Any]) -> None:
    """Whatever JSON the items are, each gets its place and nothing raises."""
    assert len(parse_items(operation, raw)) == len(raw)


def test_reference_is_echoed_only_where_there_is_one() -> None:
    """An answer has a reference when its item has one."""
    assert messages.with_reference({"a": 1}, None) == {"a": 1}
    assert messages.with_reference({"a": 1}, "r") == {"a": 1, "reference": "r"}


def test_error_body() -> None:
    """An error in an answer is its code and message, and the time to wait when it has one."""
    assert messages.error_body(InternalError("Internal error 12.")) == {
        "error": {"code": "internal", "message": "Internal error 12."}
    }
    assert messages.error_body(RateLimitedError(retry_after_s=0.0)) == {
        "error": {
            "code": "rate_limited",
            "message": "Too many requests for this user.",
            "retry_after": 0.0,
        }
    }


@pytest.mark.parametrize("operation", Operation)
def test_every_operation_has_its_models(operation: Operation) -> None:
    """No operation is without a model for its items and its answers."""
    assert operation in items.ITEM_MODELS
    assert operation in ANSWER_MODELS
