"""Bad input of every kind gets its typed error, and none of it comes out again.

Each case puts a marker into the input. The answer, opened, the log and every exception that the
service turned into an answer, with all that hangs on it, are searched for the marker.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from caas_tasks import api_key as api_keys
from caas_tasks import envelope
from caas_tasks.encoding import encode_json
from caas_tasks.names import Operation
from worker import batch, service
from worker.keystore import change

UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
MARKER = "canary5e1d"
ID = "6f1d7c1e-8f0e-4c55-9d55-1f2f3a4b5c6d"
LIMIT = 65_536
GOOD = {"userUUID": UUID, "sensitiveData": MARKER}


class Watch:
    """Collects what a service lets out, and looks for the marker in it."""

    def __init__(self, world: Any, caplog: pytest.LogCaptureFixture) -> None:
        self.world = world
        self.errors: list[BaseException] = []
        self._caplog = caplog

    def check(self, answer: str) -> Any:
        """The opened answer, once nothing in it or beside it shows the marker."""
        body = "unreadable" if answer == "unreadable" else self.world.open(self.operation, answer)
        assert MARKER not in answer
        assert MARKER not in json.dumps(body, ensure_ascii=False)
        assert MARKER not in self._caplog.text
        assert not [
            error for error in self.errors for link in chain(error) if MARKER in shown(link)
        ]
        return body

    operation = Operation.ENCRYPT

    def ask_raw(
        self, payload: bytes, operation: Operation = Operation.ENCRYPT, **options: Any
    ) -> Any:
        self.operation = operation
        return self.answer(self.world.seal(operation, payload, **options), operation)

    def ask(self, items: object, operation: Operation = Operation.ENCRYPT, **options: Any) -> Any:
        key = options.pop("api_key", self.world.api_key)
        return self.ask_raw(encode_json({"apiKey": key, "items": items}), operation, **options)

    def answer(
        self, sealed: object, operation: Operation = Operation.ENCRYPT, name: str = ID
    ) -> Any:
        return self.check(self.world.service.answer(operation, name, sealed))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and everything that hangs on it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def shown(error: BaseException) -> str:
    """All the texts of an exception."""
    return f"{error!r} {error} {error.args!r} {getattr(error, '__notes__', '')}"


@pytest.fixture
def watch(world: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Watch:
    caplog.set_level(logging.DEBUG)
    found = Watch(world, caplog)
    error_body = service.error_body

    def recording(error: Any) -> Any:
        found.errors.append(error)
        return error_body(error)

    for module in (service, batch):
        monkeypatch.setattr(module, "error_body", recording)
    return found


def code(body: Any) -> str:
    """The error code of a whole answer or of its only item."""
    if "items" in body:
        (body,) = body["items"]
    return str(body["error"]["code"])


# --- data and fields

BAD_ITEMS: dict[str, tuple[object, str]] = {
    "64 KiB + 1": (
        {"userUUID": UUID, "sensitiveData": MARKER.ljust(LIMIT + 1)},
        "payload_too_large",
    ),
    "64 KiB + 1 in fewer characters": (
        {"userUUID": UUID, "sensitiveData": MARKER + "é" * (LIMIT // 2)},
        "payload_too_large",
    ),
    "braces": ({"userUUID": "{" + MARKER + "}", "sensitiveData": ""}, "invalid_request"),
    "braces round a UUID": ({**GOOD, "userUUID": "{" + UUID + "}"}, "invalid_request"),
    "31 digits": ({**GOOD, "userUUID": UUID[:-1]}, "invalid_request"),
    "no hyphens": ({**GOOD, "userUUID": UUID.replace("-", "")}, "invalid_request"),
    "a number": ({**GOOD, "userUUID": 4}, "invalid_request"),
    "null": ({**GOOD, "userUUID": None}, "invalid_request"),
    "no UUID": ({"sensitiveData": MARKER}, "invalid_request"),
    "no data": ({"userUUID": UUID}, "invalid_request"),
    "data of another type": ({"userUUID": UUID, "sensitiveData": [MARKER]}, "invalid_request"),
    "data as an object": ({"userUUID": UUID, "sensitiveData": {MARKER: 1}}, "invalid_request"),
    "data as a number": ({"userUUID": UUID, "sensitiveData": 1.5}, "invalid_request"),
    "unknown field": ({**GOOD, MARKER: 1}, "invalid_request"),
    "API key within the item": ({**GOOD, "apiKey": MARKER}, "invalid_request"),
    "no object": (MARKER, "invalid_request"),
    "a list": ([MARKER], "invalid_request"),
    "long reference": ({**GOOD, "reference": MARKER * 30}, "invalid_request"),
    "reference of another type": ({**GOOD, "reference": [MARKER]}, "invalid_request"),
}


@pytest.mark.parametrize(("item", "expected"), BAD_ITEMS.values(), ids=BAD_ITEMS.keys())
def test_bad_item(watch: Watch, item: object, expected: str) -> None:
    """A bad item gets its typed error."""
    assert code(watch.ask([item])) == expected


# --- passwords, seals and tokens

MARKER_64 = base64.b64encode(MARKER.encode()).decode()
HASH = "$caas-argon2id$v=19$m=8,t=1,p=1,k=1$" + "A" * 22 + "$" + "A" * 43
USER: dict[str, object] = {"userUUID": UUID}
VERIFY = {**USER, "password": MARKER}
BAD_PROTECTION: dict[str, tuple[Operation, dict[str, object], str]] = {
    "password of 64 KiB + 1": (
        Operation.HASH_PASSWORD,
        {**USER, "password": MARKER.ljust(LIMIT + 1)},
        "payload_too_large",
    ),
    "password of another type": (
        Operation.HASH_PASSWORD,
        {**USER, "password": [MARKER]},
        "invalid_request",
    ),
    "no password": (Operation.VERIFY_PASSWORD, {**USER, "hash": MARKER}, "invalid_request"),
    "hash of another scheme": (
        Operation.VERIFY_PASSWORD,
        {**VERIFY, "hash": f"$2b$12${MARKER}"},
        "invalid_request",
    ),
    "hash without a field": (
        Operation.VERIFY_PASSWORD,
        {**VERIFY, "hash": HASH.replace(",k=1", "")},
        "invalid_request",
    ),
    "hash of absurd costs": (
        Operation.VERIFY_PASSWORD,
        {**VERIFY, "hash": HASH.replace("m=8", "m=4294967295")},
        "invalid_request",
    ),
    "hash of a version unknown": (
        Operation.VERIFY_PASSWORD,
        {**VERIFY, "hash": HASH.replace("k=1", "k=9")},
        "unavailable",
    ),
    "long hash": (
        Operation.VERIFY_PASSWORD,
        {**VERIFY, "hash": MARKER * 20},
        "invalid_request",
    ),
    "plaintext that is no base64": (
        Operation.SEAL,
        {**USER, "plaintext": MARKER + "!"},
        "invalid_request",
    ),
    "plaintext of another alphabet": (
        Operation.SEAL,
        {**USER, "plaintext": "_-__"},
        "invalid_request",
    ),
    "plaintext of 64 KiB + 1": (
        Operation.SEAL,
        {**USER, "plaintext": base64.b64encode(MARKER.encode().ljust(LIMIT + 1)).decode()},
        "payload_too_large",
    ),
    "context of 1 KiB + 1": (
        Operation.SEAL,
        {**USER, "plaintext": MARKER_64, "context": base64.b64encode(bytes(1_025)).decode()},
        "invalid_request",
    ),
    "token that is none": (Operation.OPEN, {**USER, "token": MARKER}, "undecryptable"),
    "token that is no base64": (
        Operation.OPEN,
        {**USER, "token": f"caas1.{MARKER}!"},
        "undecryptable",
    ),
    "token of a version unknown": (
        Operation.REWRAP,
        {**USER, "token": "caas1.AAAACQ" + "A" * 120},
        "unavailable",
    ),
    "token of 87,501 characters": (
        Operation.OPEN,
        {**USER, "token": MARKER.ljust(87_501, "A")},
        "payload_too_large",
    ),
    "token of another type": (Operation.REWRAP, {**USER, "token": [MARKER]}, "invalid_request"),
    "lone surrogate": (Operation.OPEN, {**USER, "token": MARKER + "\ud800"}, "invalid_request"),
}


@pytest.mark.parametrize(
    ("operation", "item", "expected"), BAD_PROTECTION.values(), ids=BAD_PROTECTION.keys()
)
def test_bad_item_of_a_protecting_operation(
    watch: Watch, operation: Operation, item: dict[str, object], expected: str
) -> None:
    """A bad password, hash, plaintext or token gets its typed error, and shows nowhere."""
    payload = json.dumps({"apiKey": watch.world.api_key, "items": [item]}).encode()
    assert code(watch.ask_raw(payload, operation)) == expected


def test_token_of_a_mebibyte(watch: Watch) -> None:
    """A token that fills a whole message is refused by its length."""
    item = {**USER, "token": "caas1." + MARKER.ljust(1_000_000, "A")}
    assert code(watch.ask([item], Operation.OPEN)) == "payload_too_large"


@pytest.mark.parametrize("data", ["", "x" * LIMIT])
def test_data_at_the_edges(watch: Watch, data: str) -> None:
    """Empty data and exactly 64 KiB are encrypted."""
    (answer,) = watch.ask([{"userUUID": UUID, "sensitiveData": data}])["items"]
    assert len(answer["encrypted_data"]) == 96


def test_upper_case_uuid(watch: Watch) -> None:
    """A UUID in upper case is the same user."""
    upper, lower = watch.ask([{**GOOD, "userUUID": text} for text in (UUID.upper(), UUID)])["items"]
    assert upper == lower


BAD_VERIFICATIONS: dict[str, dict[str, Any]] = {
    "value of another form": {"encrypted_data": MARKER},
    "value of another type": {"encrypted_data": [MARKER]},
    "version of another type": {"encrypted_data": "ab" * 48, "key_version": MARKER},
    "version 0": {"encrypted_data": "ab" * 48, "key_version": 0},
}


@pytest.mark.parametrize("extra", BAD_VERIFICATIONS.values(), ids=BAD_VERIFICATIONS.keys())
def test_bad_verification(watch: Watch, extra: dict[str, Any]) -> None:
    """A stored value or a version of the wrong form is refused."""
    assert code(watch.ask([{**GOOD, **extra}], Operation.VERIFY)) == "invalid_request"


def test_bad_wrap(watch: Watch) -> None:
    """A legacy digest with a space is refused."""
    item = {"userUUID": UUID, "legacyDigest": MARKER + " x"}
    assert code(watch.ask([item], Operation.WRAP)) == "invalid_request"


def test_bad_blind_index(watch: Watch) -> None:
    """A field's name that is too long is refused."""
    item = {"field": MARKER * 20, "value": MARKER}
    assert code(watch.ask([item], Operation.BLIND_INDEX)) == "invalid_request"


# --- whole requests

BAD_PAYLOADS: dict[str, bytes] = {
    "empty": b"",
    "text": MARKER.encode(),
    "a list": json.dumps([MARKER]).encode(),
    "invalid UTF-8": b'{"apiKey":"' + MARKER.encode() + b'\xff","items":[1]}',
    "surrogate in UTF-8": b'{"apiKey":"' + MARKER.encode() + b'\xed\xa0\x80","items":[1]}',
    "name twice": b'{"apiKey":"%b","apiKey":"x","items":[1]}' % MARKER.encode(),
    "name twice in an item": b'{"apiKey":"k","items":[{"%b":1,"%b":2}]}'
    % (MARKER.encode(), MARKER.encode()),
    "cut off": b'{"apiKey":"' + MARKER.encode(),
    "NaN": b'{"apiKey":"' + MARKER.encode() + b'","items":[NaN]}',
    "too deep": b'{"apiKey":"' + MARKER.encode() + b'","items":' + b"[" * 50_000,
    "unknown field": json.dumps({"apiKey": "k", "items": [1], MARKER: 1}).encode(),
    "no key": json.dumps({"items": [MARKER]}).encode(),
    "no items": json.dumps({"apiKey": MARKER}).encode(),
    "key of another type": json.dumps({"apiKey": [MARKER], "items": [1]}).encode(),
    "batch of none": json.dumps({"apiKey": MARKER, "items": []}).encode(),
    "batch of another type": json.dumps({"apiKey": "k", "items": MARKER}).encode(),
}


@pytest.mark.parametrize("payload", BAD_PAYLOADS.values(), ids=BAD_PAYLOADS.keys())
def test_bad_payload(watch: Watch, payload: bytes) -> None:
    """A payload that is malformed as a whole gets one error, before its key is looked at."""
    body = watch.ask_raw(payload)
    assert body.keys() == {"error"}
    assert code(body) == "invalid_request"


def test_batch_of_a_thousand_and_one(watch: Watch) -> None:
    """One item too many and the batch is refused; exactly a thousand are answered."""
    item = {"userUUID": UUID, "sensitiveData": MARKER}
    assert code(watch.ask([item] * 1_001)) == "payload_too_large"
    assert len(watch.ask([item] * 1_000)["items"]) == 1_000


@pytest.mark.parametrize("name", ["userUUID", "sensitiveData", "reference"])
def test_lone_surrogates(watch: Watch, name: str) -> None:
    """A lone surrogate that JSON's escapes smuggle in is refused in its item."""
    item = {**GOOD, name: MARKER + "\ud800"}
    payload = json.dumps({"apiKey": watch.world.api_key, "items": [item]}).encode()
    assert code(watch.ask_raw(payload)) == "invalid_request"


def test_lone_surrogate_in_a_field_s_name(watch: Watch) -> None:
    """A name that is no Unicode is an unknown field like any other."""
    item = {**GOOD, MARKER + "\ud800": 1}
    payload = json.dumps({"apiKey": watch.world.api_key, "items": [item]}).encode()
    (answer,) = watch.ask_raw(payload)["items"]
    assert answer["error"]["message"] == "An unknown field is present."


# --- API keys


def other_keys(world: Any) -> dict[str, str]:
    """API keys of every wrong kind."""
    good = world.api_key
    stranger = api_keys.generate(world.random.choice)
    expired = world.add_api_key(expires_at=world.clock.value_ms // 1_000 + 1)
    revoked = world.add_api_key()
    record = world.keystore.api_keys[-1]
    world.use(change.revoke_api_key(world.keystore, record.key_id, 1))
    world.clock.forward(1)
    return {
        "empty": "",
        "marker": MARKER,
        "marker in the form": "caas_" + MARKER,
        "cut off": good[:-1],
        "longer": good + "0",
        "space": good + " ",
        "newline": good + "\n",
        "lower case": good.lower(),
        "of another service": stranger,
        "long": MARKER * 10_000,
        "NUL": good[:20] + "\0" + good[21:],
        "expired": expired,
        "revoked": revoked,
    }


def test_bad_api_keys(watch: Watch) -> None:
    """Every wrong key gets the one answer, byte for byte."""
    expected = {"error": {"code": "unauthorized", "message": "The API key is not valid."}}
    for kind, key in other_keys(watch.world).items():
        assert (kind, watch.ask([GOOD], api_key=key)) == (kind, expected)


def test_lone_surrogate_in_an_api_key(watch: Watch) -> None:
    """A key that is no Unicode is a wrong key."""
    payload = json.dumps({"apiKey": MARKER + "\ud800", "items": [GOOD]}).encode()
    assert code(watch.ask_raw(payload)) == "unauthorized"


def test_key_of_another_tenant(watch: Watch) -> None:
    """Another tenant's key works for that tenant alone: a stored value of this one is not valid."""
    stored = watch.ask([GOOD])["items"][0]
    other = watch.world.add_api_key(tenant="clinic")
    (answer,) = watch.ask([{**GOOD, **stored}], Operation.VERIFY, api_key=other)["items"]
    assert answer == {"valid": False, "needs_update": False}


def test_key_without_the_scope(watch: Watch) -> None:
    """A key without the operation's scope is forbidden to use it."""
    key = watch.world.add_api_key(scopes=["wrap"])
    assert code(watch.ask([GOOD], api_key=key)) == "forbidden"


# --- messages


def good_message(watch: Watch) -> str:
    """A sealed request that the service would answer."""
    payload = encode_json({"apiKey": watch.world.api_key, "items": [GOOD]})
    return str(watch.world.seal(Operation.ENCRYPT, payload))


def to_another_key(watch: Watch, new_world: Callable[..., Any]) -> str:
    session = watch.world.new_session(change.public_key(new_world(seed=2).keystore))
    return str(watch.world.seal(Operation.ENCRYPT, MARKER.encode(), session=session))


def test_message_to_another_key(watch: Watch, new_world: Callable[..., Any]) -> None:
    """A message that is sealed to another service's key is unreadable."""
    assert watch.answer(to_another_key(watch, new_world)) == "unreadable"


def test_message_under_a_borrowed_key_id(watch: Watch, new_world: Callable[..., Any]) -> None:
    """A session wrapped to another key under this service's key id is unreadable."""
    raw = bytearray(base64.b64decode(to_another_key(watch, new_world)))
    raw[1:9] = watch.world.session.key_id
    assert watch.answer(base64.b64encode(raw).decode()) == "unreadable"


@pytest.mark.parametrize("end", [0, 1, 4, 24, 1_000, 1_600, -4])
def test_truncated_message(watch: Watch, end: int) -> None:
    """A message that is cut off is unreadable."""
    assert watch.answer(good_message(watch)[:end]) == "unreadable"


def test_bit_flipped_message(watch: Watch) -> None:
    """A message with one changed bit in any region is unreadable."""
    raw = base64.b64decode(good_message(watch))
    for at in [*range(19), 19, 600, 1_106, 1_107, 1_186, *range(1_187, 1_200), len(raw) - 1]:
        changed = raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1 :]
        assert watch.answer(base64.b64encode(changed).decode()) == "unreadable"


def test_message_replayed_under_another_id(watch: Watch) -> None:
    """A message is worth nothing under another id."""
    other = ID.replace("6", "7")
    assert watch.answer(good_message(watch), name=other) == "unreadable"


@pytest.mark.parametrize("operation", set(Operation) - {Operation.ENCRYPT})
def test_message_replayed_under_another_task(watch: Watch, operation: Operation) -> None:
    """A message is worth nothing to another operation."""
    assert watch.answer(good_message(watch), operation) == "unreadable"


def test_message_with_another_expiry(watch: Watch) -> None:
    """A message whose life the broker prolongs is unreadable."""
    raw = bytearray(base64.b64decode(good_message(watch)))
    raw[16] ^= 1
    assert watch.answer(base64.b64encode(raw).decode()) == "unreadable"


def test_expired_message(watch: Watch) -> None:
    """A message that is replayed after its expiry is a time-out."""
    sealed = good_message(watch)
    watch.world.clock.forward(10 + 5)
    assert "items" in watch.answer(sealed)
    watch.world.clock.forward(0.001)
    assert code(watch.answer(sealed)) == "timeout"


def test_message_that_never_expires(watch: Watch) -> None:
    """A message that asks to live for ever is refused."""
    assert code(watch.ask([GOOD], expiry_ms=2**64 - 1)) == "invalid_request"


@pytest.mark.parametrize(
    "sealed", [None, 7, b"bytes", [MARKER], {MARKER: 1}, "", MARKER, MARKER * 500_000, "\ud800"]
)
def test_what_is_no_message(watch: Watch, sealed: object) -> None:
    """What is no sealed string at all is unreadable."""
    assert watch.answer(sealed) == "unreadable"


def test_all_unreadable_answers_are_one(watch: Watch, new_world: Callable[..., Any]) -> None:
    """Nothing tells why a message could not be opened."""
    sealed = good_message(watch)
    answers = {
        watch.world.service.answer(Operation.ENCRYPT, ID, text)
        for text in (to_another_key(watch, new_world), sealed[:-4], "", "A" * 2_000)
    }
    answers.add(watch.world.service.answer(Operation.VERIFY, ID, sealed))
    assert answers == {envelope.UNREADABLE_REPLY}


def test_the_search_finds_a_leak(watch: Watch) -> None:
    """The search fails when an error repeats its input, however deep."""
    error = ValueError("harmless")
    error.__context__ = KeyError(MARKER)
    watch.errors.append(error)
    with pytest.raises(AssertionError):
        watch.check("unreadable")
