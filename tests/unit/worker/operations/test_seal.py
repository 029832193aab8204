"""Sealing: the specification's bytes, and every way in which a token is not authentic."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from caas_tasks.encoding import uuid_bytes
from caas_tasks.errors import KeyUnavailableError, ServiceUnavailableError, UndecryptableError
from caas_tasks.names import Operation
from caas_tasks.stored_forms import Token, parse_token
from worker.operations import seal
from worker.operations.derivation import derive
from worker.operations.means import Means

UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
OTHER_UUID = "00000000-0000-4000-8000-000000000001"
PLAINTEXT = b"12 Example Street"
CONTEXT = b"address"


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.fixture(scope="module")
def new_token(run: Any) -> Callable[..., str]:
    """Seals: `new_token(keys, plaintext, user, context)`."""

    def make(keys: Any, plaintext: bytes = PLAINTEXT, user: str = UUID, context: bytes = CONTEXT,
             means: Means | None = None) -> str:  # fmt: skip
        fields = {"userUUID": user, "plaintext": b64(plaintext), "context": b64(context)}
        token: str = run(Operation.SEAL, keys, means, **fields)["token"]
        return token

    return make


@pytest.fixture(scope="module")
def open_token(run: Any) -> Callable[..., bytes]:
    """Opens: `open_token(keys, token, user, context)`."""

    def open_(keys: Any, token: str, user: str = UUID, context: bytes = CONTEXT) -> bytes:
        fields = {"userUUID": user, "token": token, "context": b64(context)}
        return base64.b64decode(run(Operation.OPEN, keys, **fields)["plaintext"])

    return open_


def changed(token: str, **fields: Any) -> str:
    """A token with some parts replaced."""
    parsed = parse_token(token)
    assert parsed is not None
    return replace(parsed, **fields).to_text()


def test_token_by_hand(keys_of: Any, new_token: Any) -> None:
    """A token is what the specification writes out."""
    salt = bytes(range(32))
    token = new_token(keys_of(2, primary=2), means=Means({32: salt}.__getitem__))
    user = uuid_bytes(UUID)
    seal_key = derive(bytes([2]) * 32, "shop", "seal", user)
    extracted = hmac.new(salt, seal_key, hashlib.sha256).digest()
    info = b"caas/1/seal-message"
    key = hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()
    commitment = hmac.new(extracted, key + info + b"\x02", hashlib.sha256).digest()
    lengths = b"\0\0\0\x04shop" + b"\0\0\0\x10" + user + b"\0\0\0\x07address"
    box = AESGCM(key).encrypt(bytes(12), PLAINTEXT, b"caas/1/seal\0" + lengths)
    body = b"\0\0\0\x02" + salt + commitment + box
    assert token == "caas1." + base64.urlsafe_b64encode(body).rstrip(b"=").decode()


@given(st.binary(max_size=300), st.binary(max_size=100), st.uuids(), st.integers(1, 3), st.data())
def test_opening_gives_back_what_was_sealed(
    keys_of: Any, new_token: Any, open_token: Any, plaintext: bytes, context: bytes, user: Any,
    version: int, data: st.DataObject,
) -> None:  # fmt: skip
    """For every plaintext, context, user and key version, whichever is primary by then."""
    token = new_token(keys_of(3, primary=version), plaintext, str(user), context)
    later = keys_of(3, primary=data.draw(st.integers(1, 3)))
    assert open_token(later, token, str(user).upper(), context) == plaintext


@pytest.mark.parametrize("plaintext", [b"", b"\0", b"x" * 65_536])
def test_sizes(keys_of: Any, new_token: Any, open_token: Any, plaintext: bytes) -> None:
    """Nothing and 64 KiB are sealed like anything else."""
    assert open_token(keys_of(), new_token(keys_of(), plaintext)) == plaintext


def test_tokens_differ(keys_of: Any, new_token: Any) -> None:
    """The same plaintext has another token each time."""
    assert new_token(keys_of()) != new_token(keys_of())


def test_context_is_optional(keys_of: Any, run: Any) -> None:
    """No context is the empty context."""
    token = run(Operation.SEAL, keys_of(), userUUID=UUID, plaintext=b64(PLAINTEXT))["token"]
    for fields in ({}, {"context": ""}):
        answer = run(Operation.OPEN, keys_of(), userUUID=UUID, token=token, **fields)
        assert answer == {"plaintext": b64(PLAINTEXT)}


def test_another_user_or_context(keys_of: Any, new_token: Any, open_token: Any) -> None:
    """A token moved to another row or column does not open."""
    token = new_token(keys_of())
    for place in ({"user": OTHER_UUID}, {"context": b"address2"}, {"context": b""}):
        with pytest.raises(UndecryptableError):
            open_token(keys_of(), token, **place)


def test_another_tenant(keys_of: Any, new_token: Any, open_token: Any) -> None:
    """Another tenant's token does not open."""
    with pytest.raises(UndecryptableError):
        open_token(keys_of(tenant="blog"), new_token(keys_of()))


def test_bit_flipped_anywhere(keys_of: Any, new_token: Any, open_token: Any) -> None:
    """Each bit of a token counts. One of the version names another version."""
    keys = keys_of()
    token = new_token(keys, b"short")
    raw = base64.urlsafe_b64decode(token.removeprefix("caas1.") + "==")
    for place in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[place // 8] ^= 1 << place % 8
        text = "caas1." + base64.urlsafe_b64encode(flipped).rstrip(b"=").decode()
        expected = ServiceUnavailableError if place < 32 else UndecryptableError
        if place == 24:  # the only bit of version 1: version 0 is no token's
            expected = UndecryptableError
        with pytest.raises(expected):
            open_token(keys, text)


def test_character_changed_anywhere(keys_of: Any, new_token: Any, open_token: Any) -> None:
    """Each character of a token's text counts, the last one's spare bits too."""
    keys = keys_of()
    token = new_token(keys, b"short")
    for place in range(len(token)):
        other = "B" if token[place] == "A" else "A"
        with pytest.raises((UndecryptableError, ServiceUnavailableError)):
            open_token(keys, token[:place] + other + token[place + 1 :])


def test_truncated_anywhere(keys_of: Any, new_token: Any, open_token: Any) -> None:
    """No beginning of a token is one."""
    token = new_token(keys_of(), b"short")
    for length in range(len(token)):
        with pytest.raises(UndecryptableError):
            open_token(keys_of(), token[:length])


def test_swapped_parts(keys_of: Any, new_token: Any, open_token: Any) -> None:
    """Commitment, salt or box of another token of the same user fit no other."""
    one, other = (new_token(keys_of()) for _ in range(2))
    parsed = parse_token(other)
    assert parsed is not None
    for name in ("commitment", "message_salt", "box"):
        with pytest.raises(UndecryptableError):
            open_token(keys_of(), changed(one, **{name: getattr(parsed, name)}))


def test_commitment_is_compared_before_decryption(
    keys_of: Any, new_token: Any, open_token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a wrong commitment nothing is decrypted."""
    token = changed(new_token(keys_of()), commitment=bytes(32))
    monkeypatch.setattr(seal, "AESGCM", None)
    with pytest.raises(UndecryptableError):
        open_token(keys_of(), token)


@pytest.mark.parametrize("text", ["", "x", "caas1.", "caas1.!!!!", "caas1." + "A" * 87_494])
def test_what_is_no_token(keys_of: Any, open_token: Any, text: str) -> None:
    """Not base64, too short, or as long as can be: one error."""
    with pytest.raises(UndecryptableError) as caught:
        open_token(keys_of(), text)
    assert caught.value.__context__ is None


def test_errors_hold_nothing(keys_of: Any, new_token: Any, open_token: Any) -> None:
    """What fails in the cipher leaves no exception behind."""
    parsed = parse_token(new_token(keys_of()))
    assert parsed is not None
    with pytest.raises(UndecryptableError) as caught:
        open_token(keys_of(), replace(parsed, box=bytes(40)).to_text())
    assert caught.value.__context__ is None
    assert caught.value.message == "The value is not authentic for this user and context."


@pytest.mark.parametrize("state", ["disabled", "destroyed"])
@pytest.mark.parametrize("operation", [Operation.OPEN, Operation.REWRAP])
def test_unavailable_version(
    keys_of: Any, new_token: Any, run: Any, state: str, operation: Operation
) -> None:
    """A token of a version that is not enabled can't be opened now."""
    token = new_token(keys_of(2, primary=2))
    keys = keys_of(2, states={2: state})
    with pytest.raises(KeyUnavailableError):
        run(operation, keys, userUUID=UUID, token=token, context=b64(CONTEXT))


def test_minimum_and_unknown_version(keys_of: Any, new_token: Any, open_token: Any) -> None:
    """Below the minimum for checking is unavailable; unknown may be known soon."""
    with pytest.raises(KeyUnavailableError):
        open_token(keys_of(2, primary=2, minimum_checking=2), new_token(keys_of(2)))
    with pytest.raises(ServiceUnavailableError):
        open_token(keys_of(1), new_token(keys_of(2, primary=2)))


def test_rewrap_to_the_primary(keys_of: Any, new_token: Any, open_token: Any, run: Any) -> None:
    """A token of another version becomes one of the primary; the plaintext is not answered."""
    token = new_token(keys_of(2))
    keys = keys_of(2, primary=2)
    answer = run(Operation.REWRAP, keys, userUUID=UUID, token=token, context=b64(CONTEXT))
    assert answer.keys() == {"token", "changed"}
    assert answer["changed"] is True
    parsed = parse_token(answer["token"])
    assert isinstance(parsed, Token)
    assert parsed.key_version == 2
    assert open_token(keys_of(2, primary=2, states={1: "disabled"}), answer["token"]) == PLAINTEXT


def test_rewrap_of_a_new_token(keys_of: Any, new_token: Any, run: Any) -> None:
    """A token that is the primary's already stays as it is, once it is found authentic."""
    token = new_token(keys_of())
    fields = {"userUUID": UUID, "context": b64(CONTEXT)}
    answer = run(Operation.REWRAP, keys_of(), token=token, **fields)
    assert answer == {"token": token, "changed": False}
    with pytest.raises(UndecryptableError):
        run(Operation.REWRAP, keys_of(), token=changed(token, box=bytes(40)), **fields)
    with pytest.raises(UndecryptableError):
        run(Operation.REWRAP, keys_of(), token=token, userUUID=UUID)


USERS = st.uuids().map(lambda user: user.bytes)
PARTS = st.tuples(st.text(alphabet="ab-", max_size=5), USERS, st.binary(max_size=9))


@given(PARTS, PARTS)
def test_associated_data_does_not_collide(one: Any, other: Any) -> None:
    """Another tenant, user or context always has other associated data."""
    assert (seal.associated_data(*one) == seal.associated_data(*other)) is (one == other)
