"""Length-prefixed parts, strict JSON and UUID text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caas_tasks.encoding import decode_json_object, encode_json, is_uuid, lp, uuid_bytes
from caas_tasks.errors import InvalidRequestError

UUID_TEXT = "4DBCbcfe-4800-40a8-badf-c26b73af230c"
MARKER = "canary-7d1f"


def test_lp_of_nothing() -> None:
    """No parts are no bytes."""
    assert lp() == b""


def test_lp_bytes() -> None:
    """Each part is preceded by its length as four big-endian bytes."""
    assert lp(b"ab", b"", b"c" * 258) == (
        b"\x00\x00\x00\x02ab" + b"\x00\x00\x00\x00" + b"\x00\x00\x01\x02" + b"c" * 258
    )


@given(st.lists(st.binary(max_size=6), max_size=5), st.lists(st.binary(max_size=6), max_size=5))
def test_lp_is_injective(left: list[bytes], right: list[bytes]) -> None:
    """Two lists of parts have the same encoding only when they are the same list."""
    assert (lp(*left) == lp(*right)) == (left == right)


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_lp_can_be_taken_apart(parts: list[bytes]) -> None:
    """The parts can be read back, which is why no two lists collide."""
    rest, found = lp(*parts), []
    while rest:
        end = 4 + int.from_bytes(rest[:4], "big")
        found.append(rest[4:end])
        rest = rest[end:]
    assert found == parts


def test_uuid_bytes_ignore_case() -> None:
    """Both cases of a UUID are the same sixteen bytes."""
    expected = bytes.fromhex("4dbcbcfe480040a8badfc26b73af230c")
    assert uuid_bytes(UUID_TEXT) == uuid_bytes(UUID_TEXT.lower()) == expected


@pytest.mark.parametrize(
    "text", [UUID_TEXT, UUID_TEXT.upper(), "0" * 8 + "-0000" * 3 + "-" + "f" * 12]
)
def test_uuid_form_is_accepted(text: str) -> None:
    """The 8-4-4-4-12 form is a UUID in either case, whatever its version bits."""
    assert is_uuid(text)


BAD_UUIDS = {
    "braces": "{" + UUID_TEXT + "}",
    "urn": "urn:uuid:" + UUID_TEXT,
    "no hyphens": UUID_TEXT.replace("-", ""),
    "31 digits": UUID_TEXT[:-1],
    "33 digits": UUID_TEXT + "0",
    "not hex": "g" + UUID_TEXT[1:],
    "moved hyphen": "4DBCbcf-e4800-40a8-badf-c26b73af230c",
    "newline after": UUID_TEXT + "\n",
    "space before": " " + UUID_TEXT,
    "full-width digit": "\uff14" + UUID_TEXT[1:],
    "empty": "",
}


@pytest.mark.parametrize("text", BAD_UUIDS.values(), ids=BAD_UUIDS.keys())
def test_other_uuid_forms_are_refused(text: str) -> None:
    """No other form is a UUID, and the refusal does not repeat it."""
    assert not is_uuid(text)
    with pytest.raises(InvalidRequestError) as caught:
        uuid_bytes(text)
    assert str(caught.value) == "userUUID: not a UUID in the 8-4-4-4-12 form."


def test_json_object_is_decoded() -> None:
    """A JSON object comes back as a dict, nested values and escapes included."""
    raw = b' {"a": [1, {"b": null}], "\\u00e9": "\xc3\xa9"} '
    assert decode_json_object(raw) == {"a": [1, {"b": None}], "é": "é"}


NOT_JSON = {
    "empty": b"",
    "text": b"hello",
    "cut off": b'{"a": 1',
    "trailing": b'{"a": 1} x',
    "single quotes": b"{'a': 1}",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "-Infinity": b'{"a": -Infinity}',
    "name twice": b'{"a": 1, "a": 2}',
    "name twice, escaped": b'{"a": 1, "\\u0061": 1}',
    "name twice, deep": b'{"x": [{"a": 1, "a": 1}]}',
    "invalid UTF-8": b'{"a": "\xff"}',
    "surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "too deep": b'{"a": ' + b"[" * 100_000,
    "too many digits": b'{"a": ' + b"1" * 5_000 + b"}",
}


@pytest.mark.parametrize("raw", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_malformed_json_is_refused(raw: bytes) -> None:
    """What is not strict JSON is refused, with nothing of it attached to the error."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_json_object(raw)
    assert str(caught.value) == "The body is not valid JSON."
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("raw", [b"[]", b'"a"', b"1", b"null", b"true", b"[{}]"])
def test_json_that_is_no_object_is_refused(raw: bytes) -> None:
    """JSON of another kind is told apart from what is no JSON."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_json_object(raw)
    assert str(caught.value) == "The body is not a JSON object."


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_any_bytes_decode_or_are_refused(raw: bytes) -> None:
    """Whatever bytes come, the only exception is the typed one."""
    try:
        found = decode_json_object(raw)
    except InvalidRequestError:
        return
    assert isinstance(found, dict)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=4))
def test_what_is_encoded_is_decoded(value: dict[str, object]) -> None:
    """Encoding and decoding are each other's inverse."""
    assert decode_json_object(encode_json(value)) == value


def test_encoded_json_is_compact_utf8() -> None:
    """There are no spaces and no escapes that are not needed."""
    assert encode_json({"a": [1, "é\n"], "b": None}) == '{"a":[1,"é\\n"],"b":null}'.encode()


def test_lone_surrogate_cannot_be_encoded() -> None:
    """A lone surrogate is refused without showing the text around it."""
    with pytest.raises(InvalidRequestError) as caught:
        encode_json({"a": MARKER + "\ud800"})
    assert str(caught.value) == "A text is not valid Unicode, or a value has no JSON form."
    assert caught.value.__context__ is None


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_number_outside_json_is_encoded(number: float) -> None:
    """NaN and Infinity are no JSON: null stands in their place, so a neighbour's item is read."""
    assert encode_json([{"a": number}, {"a": 1}]) == b'[{"a":null},{"a":1}]'
    assert json.dumps(number)  # the standard encoder would have let it pass
