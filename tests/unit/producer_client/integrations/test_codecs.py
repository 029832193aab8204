"""What a sealed column holds, as bytes and back."""

from __future__ import annotations

from typing import Any

import pytest

from caas_tasks.errors import InvalidRequestError, UndecryptableError
from producer_client.integrations.codecs import BYTES, JSON, TEXT, Codec

DEEP: Any = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("codec", "value"),
    [
        *((TEXT, value) for value in ("", "é", "e\u0301", "\x00", "😀")),
        *((BYTES, value) for value in (b"", b"\x00\xff")),
        *((JSON, value) for value in (0, "", [], {"a": {"b": [None, True, 1.5]}}, "ü")),
    ],
)
def test_a_value_comes_back_as_it_was(codec: Codec, value: Any) -> None:
    """Nothing is normalised on the way."""
    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize(
    ("codec", "value"),
    [
        (TEXT, b"a secret"),
        (TEXT, "a secret \ud800"),
        (BYTES, "a secret"),
        (JSON, {"a secret"}),
        (JSON, float("nan")),
        (JSON, "a secret \ud800"),
        (JSON, DEEP),
    ],
)
def test_a_value_of_another_kind_is_refused_without_a_word_of_it(codec: Codec, value: Any) -> None:
    """Neither the message nor a chained exception holds the value."""
    with pytest.raises(InvalidRequestError) as refused:
        codec.encode(value)
    assert ("secret" in str(refused.value), refused.value.__context__) == (False, None)


@pytest.mark.parametrize(("codec", "data"), [(TEXT, b"\xff"), (JSON, b"{"), (JSON, b"\xff")])
def test_bytes_of_another_kind_do_not_open(codec: Codec, data: bytes) -> None:
    """A token that was made for a column of another kind is not authentic for this one."""
    with pytest.raises(UndecryptableError) as refused:
        codec.decode(data)
    assert refused.value.__context__ is None
