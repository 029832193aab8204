"""Arguments to wire items, answers to results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from caas_tasks.encoding import encode_json
from caas_tasks.errors import InternalError, InvalidRequestError, PayloadTooLargeError
from caas_tasks.limits import MAX_ITEM_BYTES, MAX_ITEMS, MAX_PAYLOAD_BYTES
from caas_tasks.names import Operation
from producer_client import wire
from producer_client.results import (
    BlindIndex,
    Encrypted,
    PasswordVerification,
    Rewrapped,
    Verification,
    Wrapped,
)

USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"


def test_encrypt_item() -> None:
    """A UUID travels as text, as it came or in the usual form."""
    expected = {"userUUID": USER_UUID, "sensitiveData": "däta"}
    assert wire.encrypt_item(USER_UUID, "däta") == expected
    assert wire.encrypt_item(UUID(USER_UUID), "däta") == expected
    assert wire.encrypt_item(USER_UUID.upper(), "")["userUUID"] == USER_UUID.upper()


def test_verify_item_names_a_version_only_when_it_is_given() -> None:
    """Without a key version the field is absent."""
    base = {"userUUID": USER_UUID, "sensitiveData": "d", "encrypted_data": "ab"}
    assert wire.verify_item(USER_UUID, "d", "ab", None) == base
    assert wire.verify_item(USER_UUID, "d", "ab", 3) == {**base, "key_version": 3}


def test_blind_index_item() -> None:
    """A field's name and a value."""
    assert wire.blind_index_item("email", "a@b") == {"field": "email", "value": "a@b"}


def test_wrap_item() -> None:
    """A user and a legacy digest."""
    assert wire.wrap_item(USER_UUID, "ab") == {"userUUID": USER_UUID, "legacyDigest": "ab"}


def test_password_items() -> None:
    """A user, a password, and the stored hash where there is one."""
    base = {"userUUID": USER_UUID, "password": "p"}
    assert wire.password_item(USER_UUID, "p") == base
    assert wire.verify_password_item(USER_UUID, "p", None) == base
    assert wire.verify_password_item(USER_UUID, "p", "$h") == {**base, "hash": "$h"}
    with pytest.raises(InvalidRequestError, match="stored_hash must be a string"):
        wire.verify_password_item(USER_UUID, "p", 7)  # type: ignore[arg-type]


def test_seal_items() -> None:
    """Bytes travel as base64; an empty context is left out."""
    sealed = {"userUUID": USER_UUID, "plaintext": "/w=="}
    assert wire.seal_item(USER_UUID, b"\xff", b"") == sealed
    assert wire.seal_item(USER_UUID, b"\xff", b"c") == {**sealed, "context": "Yw=="}
    token = {"userUUID": USER_UUID, "token": "caas1."}
    assert wire.token_item(USER_UUID, "caas1.", b"") == token
    assert wire.token_item(USER_UUID, "caas1.", b"c") == {**token, "context": "Yw=="}


@pytest.mark.parametrize("value", [None, "text", 7, bytearray(b"x")])
def test_bytes_of_another_type_are_refused_by_name(value: object) -> None:
    """Plaintext and context are bytes."""
    for name, args in (("plaintext", (value, b"")), ("context", (b"", value))):
        with pytest.raises(InvalidRequestError) as caught:
            wire.seal_item(USER_UUID, *args)  # type: ignore[arg-type]
        assert caught.value.message == f"{name} must be bytes."


def test_passwords_travel_alone() -> None:
    """Each password is a message of its own, so that all workers share them."""
    items = [wire.password_item(USER_UUID, "p")] * 3
    assert list(wire.portions(Operation.HASH_PASSWORD, items)) == [[item] for item in items]


@pytest.mark.parametrize("character", ["x", '"', "\\", "\x01", "ä", "\x7f"])
def test_item_bytes_bound_its_json(character: str) -> None:
    """However JSON writes a text, the item is no larger than it is counted."""
    for length in (1, 1_023, 1_024, 60_000):
        item = {"token": character * length}
        assert len(encode_json(item)) <= wire.item_bytes(item) + 16


ITEM_MAKERS: dict[str, Callable[[Any], object]] = {
    "user_uuid": lambda value: wire.encrypt_item(value, "d"),
    "data": lambda value: wire.encrypt_item(USER_UUID, value),
    "encrypted_data": lambda value: wire.verify_item(USER_UUID, "d", value, None),
    "field": lambda value: wire.blind_index_item(value, "v"),
    "value": lambda value: wire.blind_index_item("f", value),
    "legacy_digest": lambda value: wire.wrap_item(USER_UUID, value),
    "password": lambda value: wire.password_item(USER_UUID, value),
    "token": lambda value: wire.token_item(USER_UUID, value, b""),
}


@pytest.mark.parametrize("name", ITEM_MAKERS)
@pytest.mark.parametrize("value", [None, 7, b"bytes", ["list"], True])
def test_argument_of_another_type_is_refused_by_name(name: str, value: object) -> None:
    """The error names the argument and not its value."""
    with pytest.raises(InvalidRequestError) as caught:
        ITEM_MAKERS[name](value)
    assert caught.value.message == f"{name} must be a string."


@pytest.mark.parametrize("name", ITEM_MAKERS)
def test_lone_surrogate_is_refused(name: str) -> None:
    """Text that UTF-8 can't carry is refused before it joins others' items."""
    with pytest.raises(InvalidRequestError) as caught:
        ITEM_MAKERS[name]("\ud800")
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", ["data", "value", "password"])
def test_data_over_the_limit_is_refused(name: str) -> None:
    """What is too large even at a byte a character is not sent."""
    ITEM_MAKERS[name]("x" * MAX_ITEM_BYTES)
    with pytest.raises(PayloadTooLargeError, match=name):
        ITEM_MAKERS[name]("x" * (MAX_ITEM_BYTES + 1))


# Portions


def test_few_items_are_one_portion() -> None:
    """What fits travels together."""
    items = [{"v": str(n)} for n in range(wire.CHUNK_ITEMS)]
    assert list(wire.portions(Operation.ENCRYPT, items)) == [items]


def test_no_items_are_no_portion() -> None:
    """Nothing is sent for nothing."""
    assert list(wire.portions(Operation.ENCRYPT, [])) == []


def test_portions_are_bounded_in_items() -> None:
    """Many items are several messages, in order."""
    items = [{"v": str(n)} for n in range(2 * wire.CHUNK_ITEMS + 1)]
    portions = list(wire.portions(Operation.ENCRYPT, items))
    assert [len(portion) for portion in portions] == [wire.CHUNK_ITEMS, wire.CHUNK_ITEMS, 1]
    assert [item for portion in portions for item in portion] == items


def test_portions_are_bounded_in_bytes() -> None:
    """However JSON writes the text of a portion's items, it fits in a message."""
    items = [wire.encrypt_item(USER_UUID, "\x01" * size) for size in (65_535, 65_535, 65_536, 9)]
    portions = list(wire.portions(Operation.ENCRYPT, items))
    assert [item for portion in portions for item in portion] == items
    assert max(len(encode_json(list(portion))) for portion in portions) < MAX_PAYLOAD_BYTES - 8_192


def test_numbers_do_not_count_as_text() -> None:
    """Only texts make an item large."""
    items = [{"v": 1} for _ in range(3)]
    assert list(wire.portions(Operation.ENCRYPT, items)) == [items]


def test_a_portion_is_within_the_items_of_a_message() -> None:
    """A portion is always accepted as a message."""
    assert wire.CHUNK_ITEMS <= MAX_ITEMS


# Answers


def test_results_are_read() -> None:
    """Each operation's answer becomes its result."""
    encrypted = {"encrypted_data": "ab", "key_version": 2}
    assert wire.read_encrypted(encrypted) == Encrypted("ab", 2)
    assert wire.read_verification({"valid": True, "needs_update": False}) == Verification(
        valid=True, needs_update=False
    )
    assert wire.read_candidates({"candidates": [encrypted]}) == (Encrypted("ab", 2),)
    assert wire.read_blind_indexes({"indexes": [{"index": "cd", "key_version": 1}]}) == (
        BlindIndex("cd", 1),
    )
    assert wire.read_wrapped({"wrapped": "ef", "key_version": 1}) == Wrapped("ef", 1)
    assert wire.read_hash({"hash": "$h"}) == "$h"
    assert wire.read_token({"token": "caas1."}) == "caas1."
    assert wire.read_plaintext({"plaintext": "/w=="}) == b"\xff"
    assert wire.read_rewrapped({"token": "t", "changed": True}) == Rewrapped("t", changed=True)


@pytest.mark.parametrize("new_hash", [None, "$new"])
def test_password_verification_is_read(new_hash: str | None) -> None:
    """A new hash is there exactly when the old one needs an update."""
    answer = {"valid": True, "needs_update": new_hash is not None, "hash": new_hash}
    read = wire.read_password_verification(answer)
    assert read == PasswordVerification(
        valid=True, needs_update=new_hash is not None, new_hash=new_hash
    )
    assert "$new" not in repr(read)


@pytest.mark.parametrize(
    ("read", "answer"),
    [
        (wire.read_encrypted, {}),
        (wire.read_encrypted, {"encrypted_data": 1, "key_version": 1}),
        (wire.read_encrypted, {"encrypted_data": "ab", "key_version": "1"}),
        (wire.read_verification, {"valid": 1, "needs_update": False}),
        (wire.read_verification, {"valid": True}),
        (wire.read_candidates, {"candidates": {}}),
        (wire.read_candidates, {"candidates": ["ab"]}),
        (wire.read_blind_indexes, {"indexes": [{"index": "cd"}]}),
        (wire.read_blind_indexes, {"indexes": [None]}),
        (wire.read_wrapped, {"key_version": 1}),
        (wire.read_hash, {}),
        (wire.read_token, {"token": 7}),
        (wire.read_plaintext, {"plaintext": "no base64"}),
        (wire.read_plaintext, {}),
        (wire.read_rewrapped, {"token": "t", "changed": 1}),
        (wire.read_password_verification, {"valid": 1, "needs_update": False}),
        (wire.read_password_verification, {"valid": True, "needs_update": True}),
    ],
)
def test_answer_of_another_form_is_an_internal_error(
    read: Callable[[Any], object], answer: object
) -> None:
    """A worker of another mind is not taken for one that said yes."""
    with pytest.raises(InternalError):
        read(answer)
