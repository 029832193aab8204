"""API keys: their form, their checksum, and what is kept of them."""

from __future__ import annotations

import hashlib
import math
import secrets
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caas_tasks import api_key
from caas_tasks.errors import UnauthorizedError

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62(number: int) -> str:
    """Six digits, the most significant first: the checksum's text, worked out once more."""
    return "".join(ALPHABET[number // 62**place % 62] for place in range(5, -1, -1))


BODY = "caas_" + "aB3dE6gH9jK2" + "_" + "Zz0" * 14 + "q"
KEY = BODY + base62(zlib.crc32(BODY.encode()))


def test_known_key_has_its_id() -> None:
    """A key built by hand from the specification is read, and its id comes out."""
    assert api_key.parse_id(KEY) == "aB3dE6gH9jK2"


def test_generated_key_has_the_form() -> None:
    """What `generate` makes has an id, a secret and a checksum, and is read back."""
    text = api_key.generate(secrets.choice)
    prefix, key_id, rest = text.split("_")
    assert (prefix, len(key_id), len(rest), len(text)) == ("caas", 12, 49, 67)
    assert api_key.parse_id(text) == key_id
    assert text[-6:] == base62(zlib.crc32(text[:-6].encode()))


def test_generated_key_uses_every_character_drawn() -> None:
    """The id and the secret are the drawn characters in order, from the whole alphabet."""
    drawn: list[str] = []

    def choice(alphabet: str) -> str:
        assert alphabet == ALPHABET
        drawn.append(alphabet[len(drawn)])
        return drawn[-1]

    text = api_key.generate(choice)
    assert text[5:17] + text[18:61] == "".join(drawn) == ALPHABET[:55]


def test_secret_has_enough_bits() -> None:
    """A key has at least the 190 random bits that the specification asks for."""
    assert api_key.SECRET_CHARS * math.log2(len(ALPHABET)) >= 256


def test_digest_is_sha256_of_the_whole_key() -> None:
    """The keystore's digest covers the id and the checksum too."""
    assert api_key.digest(KEY) == hashlib.sha256(KEY.encode()).digest()


def test_hint_is_the_end_of_the_secret() -> None:
    """The hint is the secret's last four characters, before the checksum, which would tell more."""
    assert api_key.hint(KEY) == BODY[-4:] == "Zz0q"


WRONG = {
    "empty": "",
    "only the prefix": "caas_",
    "another prefix": "cats" + KEY[4:],
    "upper-case prefix": "CAAS" + KEY[4:],
    "cut off": KEY[:-1],
    "one too many": KEY + "0",
    "newline after": KEY + "\n",
    "space before": " " + KEY,
    "short id": "caas_" + KEY[6:],
    "punctuation in the secret": KEY[:30] + "-" + KEY[31:],
    "underline missing": KEY.replace("_", "-"),
    "other script": KEY[:30] + "\u0661" + KEY[31:],
    "lone surrogate": KEY[:30] + "\ud800" + KEY[31:],
    "NUL": KEY[:30] + "\0" + KEY[31:],
    "257 characters": KEY + "a" * 190,
    "very long": "caas_" + "a" * 1_000_000,
    "checksum of zeros": BODY + "000000",
    "two swapped": KEY[:20] + KEY[21] + KEY[20] + KEY[22:],
    "case changed": KEY[:20] + KEY[20:].swapcase(),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_wrong_forms_are_refused(text: str) -> None:
    """Every wrong form gets the one answer, without the text."""
    with pytest.raises(UnauthorizedError) as caught:
        api_key.parse_id(text)
    assert caught.value == UnauthorizedError()
    assert caught.value.__context__ is None


@pytest.mark.parametrize("position", range(len(KEY)))
def test_no_single_typing_error_passes(position: int) -> None:
    """One changed character, wherever it is, is noticed without asking a worker."""
    changed = "x" if KEY[position] != "x" else "y"
    with pytest.raises(UnauthorizedError):
        api_key.parse_id(KEY[:position] + changed + KEY[position + 1 :])


@given(st.text(max_size=100))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever text comes, the only exception is the typed one."""
    with pytest.raises(UnauthorizedError):
        api_key.parse_id(text)
