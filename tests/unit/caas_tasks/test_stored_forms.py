"""Tokens and password hashes from outside: one text for one value, and nothing else is one."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caas_tasks import stored_forms
from caas_tasks.stored_forms import (
    PASSWORD_PROFILES,
    Argon2Parameters,
    PasswordHash,
    Token,
    parse_password_hash,
    parse_token,
)

versions = st.integers(1, 2**32 - 1)
tokens = st.builds(
    Token,
    versions,
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=60),
)
hashes = st.builds(
    PasswordHash,
    st.builds(Argon2Parameters, versions, versions, versions),
    versions,
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=32, max_size=32),
)
TOKEN = Token(1, b"s" * 32, b"c" * 32, b"b" * 17).to_text()
HASH = PasswordHash(PASSWORD_PROFILES["rfc9106-low-memory"], 7, b"s" * 16, b"d" * 32).to_text()


@given(tokens)
def test_token_round_trip(token: Token) -> None:
    """A token's text gives the token back."""
    assert parse_token(token.to_text()) == token


@given(tokens, st.data())
def test_token_texts_are_canonical(token: Token, data: st.DataObject) -> None:
    """A text with a character replaced is another token or none, never the same one."""
    text = token.to_text()
    place = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters().filter(lambda c: c != text[place]))
    assert parse_token(text[:place] + character + text[place + 1 :]) != token


@pytest.mark.parametrize(
    "text",
    [
        "",
        "caas1.",
        "caas1.AAAA",
        TOKEN + "=",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN.replace("caas1", "caas2"),
        TOKEN.upper(),
        TOKEN[:-1] + "B",
        TOKEN[:-20],
        TOKEN[:-21],
        TOKEN + "AAA",
        Token(0, b"s" * 32, b"c" * 32, b"b" * 17).to_text(),
        "caas1." + "é" * 120,
        "caas1.\ud800",
        TOKEN + "A" * (1024 * 1024),
        HASH,
    ],
)
def test_what_is_no_token(text: str) -> None:
    """Padding, white space, stray bits, another prefix, too short or far too long."""
    assert parse_token(text) is None


def test_largest_token() -> None:
    """The token of the largest plaintext is exactly as long as the limit."""
    token = Token(1, b"s" * 32, b"c" * 32, b"b" * (65_536 + 16))
    assert len(token.to_text()) == stored_forms.MAX_TOKEN_CHARS == 87_500
    assert parse_token(token.to_text()) == token
    larger = dataclasses.replace(token, box=token.box + b"b")
    assert parse_token(larger.to_text()) is None


@given(hashes)
def test_hash_round_trip(stored: PasswordHash) -> None:
    """A hash's text gives the hash back, and fits where it is stored."""
    assert parse_password_hash(stored.to_text()) == stored
    assert len(stored.to_text()) <= 256


def test_hash_text() -> None:
    """The text is that of the specification."""
    assert HASH == (
        "$caas-argon2id$v=19$m=65536,t=3,p=4,k=7$c3Nzc3Nzc3Nzc3Nzc3Nzcw$"
        "ZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGQ"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        HASH + "\n",
        HASH + "=",
        " " + HASH,
        HASH.replace("caas-argon2id", "argon2id"),
        HASH.replace("v=19$", ""),
        HASH.replace("v=19", "v=16"),
        HASH.replace(",k=7", ""),
        HASH.replace("m=65536,", ""),
        HASH.replace("m=65536,t=3", "t=3,m=65536"),
        HASH.replace("t=3", "t=03"),
        HASH.replace("t=3", "t=0"),
        HASH.replace("t=3", "t=-3"),
        HASH.replace("t=3", "t=3.0"),
        HASH.replace("t=3", "t=٣"),
        HASH.replace("k=7", "k=4294967296"),
        HASH.replace("m=65536", "m=99999999999999999999"),
        HASH.replace("Nzcw$", "Nzcx$"),
        HASH[:-1] + "R",
        HASH[:-1],
        HASH.rpartition("$")[0],
        HASH + "$",
        "$argon2id$v=19$m=65536,t=3,p=4$c3Nzc3Nzc3Nzc3Nzc3Nzcw$ZGRk",
        "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
        "pbkdf2_sha256$600000$salt$aGFzaA==",
        "\ud800",
        HASH + "A" * (1024 * 1024),
    ],
)
def test_what_is_no_password_hash(text: str) -> None:
    """A missing field, another order, another scheme, stray bits, numbers of another spelling."""
    assert parse_password_hash(text) is None


def test_profiles_are_those_of_rfc_9106() -> None:
    """The two recommended options, and the least that Argon2 takes."""
    assert {
        "rfc9106-high-memory": Argon2Parameters(2_097_152, 1, 4),
        "rfc9106-low-memory": Argon2Parameters(65_536, 3, 4),
        "cheapest": Argon2Parameters(8, 1, 1),
    } == PASSWORD_PROFILES
    assert stored_forms.DEFAULT_ARGON2_PROFILE == "rfc9106-low-memory"


def test_hash_knows_its_profile() -> None:
    """Costs that have a name are told by it, others are not."""
    stored = parse_password_hash(HASH)
    assert stored is not None
    assert stored.profile == "rfc9106-low-memory"
    assert dataclasses.replace(stored, parameters=Argon2Parameters(9, 1, 1)).profile is None


def test_repr_shows_no_secret() -> None:
    """The text form shows neither salts nor digests."""
    shown = repr(parse_token(TOKEN)) + repr(parse_password_hash(HASH))
    assert "sss" not in shown
    assert "ddd" not in shown
    assert "bbb" not in shown
