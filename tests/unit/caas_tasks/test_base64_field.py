"""Bytes inside JSON: one canonical text for each value, sizes before anything is decoded."""

from __future__ import annotations

import base64
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from caas_tasks.base64_field import Base64Field, base64_chars, decode_base64, encode_base64


class Model(BaseModel):
    raw: Annotated[bytes, Base64Field(4)]


def reason(value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"raw": value})
    return caught.value.errors()[0]["type"]


@given(st.binary(max_size=100))
def test_round_trip(raw: bytes) -> None:
    """What is encoded is decoded, and is as long as it is said to be."""
    text = encode_base64(raw)
    assert text == base64.b64encode(raw).decode()
    assert decode_base64(text) == raw
    assert len(text) == base64_chars(len(raw))


@given(st.text(alphabet="AQgw+/-_= \n", max_size=12))
def test_one_value_has_one_text(text: str) -> None:
    """Whatever is decoded is the encoding of what it decodes to."""
    raw = decode_base64(text)
    assert raw is None or encode_base64(raw) == text


@pytest.mark.parametrize(
    "text",
    ["A", "AA", "AA=", "AAA", "AB==", "AAB=", "AA==AA==", "AAAA====", "=AAA", "A A=", "AAAA\n",
     "_-__", "\ud800", "ÄÄÄÄ"],
)  # fmt: skip
def test_other_spellings_are_refused(text: str) -> None:
    """Missing padding, stray bits, white space and other alphabets are no base64 here."""
    assert decode_base64(text) is None
    assert reason(text) == "base64"


@pytest.mark.parametrize("raw", [b"", b"\0", b"abcd"])
def test_field_is_read_as_bytes(raw: bytes) -> None:
    """A field holds the decoded bytes, the empty ones too."""
    assert Model.model_validate({"raw": encode_base64(raw)}).raw == raw


@pytest.mark.parametrize("value", [None, 7, b"AAAA", ["AAAA"]])
def test_field_of_another_type(value: object) -> None:
    """Only text is decoded."""
    assert reason(value) == "string_type"


@pytest.mark.parametrize("raw", [b"abcde", b"abcdef", b"a" * 1_000_000])
def test_field_over_its_size(raw: bytes) -> None:
    """A byte too many is too many, also where the text is as long as an allowed one."""
    assert reason(encode_base64(raw)) == "string_too_long"


def test_field_in_the_schema() -> None:
    """The documentation says base64, and how long."""
    assert Model.model_json_schema()["properties"]["raw"] == {
        "contentEncoding": "base64",
        "maxLength": 8,
        "title": "Raw",
        "type": "string",
    }
