"""Passwords and seals, through both clients, with the real operations behind the envelope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from caas_tasks.errors import (
    ForbiddenError,
    InvalidRequestError,
    PayloadTooLargeError,
    UnauthorizedError,
    UndecryptableError,
)
from producer_client import PasswordVerification, Rewrapped, Wrapped, inspect
from producer_client.testing import InMemoryService

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
OTHER = "00000000-0000-4000-8000-000000000001"
PASSWORD = "correct horse battery staple"
Call = Callable[..., Any]


def test_password(call: Call) -> None:
    """A password's hash knows the password, and no other."""
    stored = call("hash_password", USER, PASSWORD)
    assert isinstance(stored, str)
    right = call("verify_password", UUID(USER), PASSWORD, stored)
    assert right == PasswordVerification(valid=True, needs_update=False, new_hash=None)
    assert right
    assert not call("verify_password", USER, "a guess", stored)
    assert not call("verify_password", OTHER, PASSWORD, stored)


def test_absent_user(call: Call) -> None:
    """Without a hash the answer is invalid."""
    assert call("verify_password", USER, PASSWORD, None) == PasswordVerification(
        valid=False, needs_update=False, new_hash=None
    )


def test_password_hash_of_another_form(call: Call) -> None:
    """A hash of another scheme is an error, not a wrong password."""
    with pytest.raises(InvalidRequestError) as caught:
        call("verify_password", USER, PASSWORD, "pbkdf2_sha256$600000$salt$aGFzaA==")
    assert str(caught.value) == "hash is not of the expected form."


@pytest.mark.parametrize("text", ["x" * 65_537, "é" * 40_000])
def test_password_over_the_limit(call: Call, text: str) -> None:
    """64 KiB of UTF-8 are the most."""
    with pytest.raises(PayloadTooLargeError):
        call("hash_password", USER, text)


@pytest.mark.parametrize("plaintext", [b"", b"12 Example Street", bytes(range(256)) * 256])
def test_seal_and_open(call: Call, plaintext: bytes) -> None:
    """Bytes come back as they were, under their user and context alone."""
    token = call("seal", USER, plaintext, b"address")
    assert call("open", USER, token, b"address") == plaintext
    for user, context in ((OTHER, b"address"), (USER, b""), (USER, b"address ")):
        with pytest.raises(UndecryptableError):
            call("open", user, token, context)


@pytest.mark.parametrize("token", ["", "caas1.", "no token", "caas1." + "A" * 87_494])
@pytest.mark.parametrize("method", ["open", "rewrap"])
def test_what_is_no_token(call: Call, method: str, token: str) -> None:
    """What is no token is not authentic, whatever is wrong with it."""
    with pytest.raises(UndecryptableError):
        call(method, USER, token)


@pytest.mark.parametrize("method", ["open", "rewrap"])
def test_token_over_the_limit(call: Call, method: str) -> None:
    """A token of a mebibyte is not even sent."""
    with pytest.raises(PayloadTooLargeError):
        call(method, USER, "caas1." + "A" * 1024 * 1024)


def test_rewrap(call: Call) -> None:
    """A token of the primary version stays as it is."""
    token = call("seal", USER, b"a")
    assert call("rewrap", USER, token) == Rewrapped(token, changed=False)


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("seal", (USER, "text")),
        ("seal", (USER, b"", "text")),
        ("seal", (USER, b"", b"x" * 1_025)),
        ("seal", (USER, bytearray(b"x"))),
        ("open", (USER, b"caas1.")),
        ("open", (USER, "caas1.", "text")),
        ("hash_password", (USER, b"bytes")),
        ("verify_password", (USER, "x", 7)),
        ("hash_password", (USER, "\ud800")),
    ],
)
def test_arguments_of_another_type(call: Call, method: str, args: tuple[Any, ...]) -> None:
    """Text is text and bytes are bytes; a context has its length."""
    with pytest.raises(InvalidRequestError):
        call(method, *args)


def test_largest_plaintext_and_context(call: Call) -> None:
    """64 KiB and 1 KiB are allowed; a byte more is not."""
    token = call("seal", USER, b"x" * 65_536, b"c" * 1_024)
    assert len(call("open", USER, token, b"c" * 1_024)) == 65_536
    with pytest.raises(PayloadTooLargeError):
        call("seal", USER, b"x" * 65_537)


def test_many(call: Call) -> None:
    """Many items keep their order, a bad one has its error in its place."""
    sealed = call("seal_many", ((USER, b"%d" % number, b"n") for number in range(1_200)))
    opened = call("open_many", [(USER, token, b"n") for token in sealed])
    assert opened == [b"%d" % number for number in range(1_200)]
    one, bad, wrong = call(
        "open_many", [(USER, sealed[7], b"n"), (USER, sealed[7]), (OTHER, sealed[7], b"n")]
    )
    assert one == b"7"
    assert isinstance(bad, InvalidRequestError)
    assert isinstance(wrong, UndecryptableError)
    assert call("rewrap_many", [(USER, sealed[0], b"n")]) == [Rewrapped(sealed[0], changed=False)]


def test_many_large_ones(call: Call) -> None:
    """Large plaintexts are split over messages, and all come back."""
    triples = [(USER, bytes([number]) * 65_536, b"") for number in range(20)]
    sealed = call("seal_many", triples)
    assert call("open_many", [(USER, token, b"") for token in sealed]) == [
        plaintext for _, plaintext, _ in triples
    ]


def test_many_passwords_and_digests(call: Call) -> None:
    """`hash_password_many` and `wrap_many` answer as their single forms do."""
    done: list[int] = []
    pairs = [(USER, f"password {number}") for number in range(40)]
    hashes = call("hash_password_many", [*pairs, None], done.append)
    assert isinstance(hashes.pop(), InvalidRequestError)
    assert done[-1] == 41
    for (user, text), stored in zip(pairs, hashes, strict=True):
        assert call("verify_password", user, text, stored)
    (wrapped,) = call("wrap_many", [(USER, "ab")])
    assert isinstance(wrapped, Wrapped)
    assert wrapped == call("wrap", USER, "ab")


def test_inspection(call: Call) -> None:
    """What a stored value is can be told without any key."""
    token, stored = call("seal", USER, b"a"), call("hash_password", USER, "a")
    assert inspect(token).kind == "token"
    assert inspect(stored).profile == "cheapest"


@pytest.mark.parametrize("operation", ["hash_password", "verify_password", "seal", "open"])
def test_scopes(surface: Any, service: InMemoryService, operation: str) -> None:
    """Each operation needs its own scope."""
    args: dict[str, tuple[Any, ...]] = {
        "hash_password": (USER, "a"),
        "verify_password": (USER, "a", None),
        "seal": (USER, b"a"),
        "open": (USER, "caas1."),
    }
    client = surface.client(api_key=service.add_api_key(scopes=["encrypt"]))
    with pytest.raises(ForbiddenError):
        surface.run(getattr(client, operation)(*args[operation]))


def test_revoked_key_ends_many(surface: Any, service: InMemoryService) -> None:
    """What every further message would be refused with is raised."""
    key = service.add_api_key()
    service.revoke_api_key(key)
    client = surface.client(api_key=key)
    with pytest.raises(UnauthorizedError):
        surface.run(client.seal_many([(USER, b"", b"")]))
