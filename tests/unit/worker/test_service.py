"""The straight line from a sealed request to a sealed reply, and every exception's end."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caas_tasks import envelope
from caas_tasks.errors import InvalidRequestError, RateLimitedError
from caas_tasks.names import SCOPES, Operation
from worker import batch, policy
from worker.keyring import Keyring
from worker.keystore import change
from worker.keystore.document import Keystore, Profile
from worker.service import Service

UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
MARKER = "canary-90c3"
ID = "6f1d7c1e-8f0e-4c55-9d55-1f2f3a4b5c6d"

ITEMS: dict[Operation, dict[str, Any]] = {
    Operation.ENCRYPT: {"userUUID": UUID, "sensitiveData": MARKER},
    Operation.CANDIDATES: {"userUUID": UUID, "sensitiveData": MARKER},
    Operation.VERIFY: {"userUUID": UUID, "sensitiveData": MARKER, "encrypted_data": "0a" * 48},
    Operation.BLIND_INDEX: {"field": "email", "value": MARKER},
    Operation.WRAP: {"userUUID": UUID, "legacyDigest": MARKER},
    Operation.HASH_PASSWORD: {"userUUID": UUID, "password": MARKER},
    Operation.VERIFY_PASSWORD: {"userUUID": UUID, "password": MARKER},
    Operation.SEAL: {"userUUID": UUID, "plaintext": "Y2FuYXJ5"},
    Operation.OPEN: {"userUUID": UUID, "token": MARKER},
    Operation.REWRAP: {"userUUID": UUID, "token": MARKER},
}
ANSWER_FIELDS = {
    Operation.ENCRYPT: {"encrypted_data", "key_version"},
    Operation.CANDIDATES: {"candidates"},
    Operation.VERIFY: {"valid", "needs_update"},
    Operation.BLIND_INDEX: {"indexes"},
    Operation.WRAP: {"wrapped", "key_version"},
    Operation.HASH_PASSWORD: {"hash"},
    Operation.VERIFY_PASSWORD: {"valid", "needs_update"},
    Operation.SEAL: {"token"},
    Operation.OPEN: {"plaintext"},
    Operation.REWRAP: {"token", "changed"},
}


@pytest.mark.parametrize("operation", Operation)
def test_every_operation_is_answered(world: Any, operation: Operation) -> None:
    """A good request gets one answer an item, with the operation's fields."""
    item = ITEMS[operation]
    if "token" in item:
        (sealed,) = world.ask(Operation.SEAL, [ITEMS[Operation.SEAL]])["items"]
        item = {**item, **sealed}
    body = world.ask(operation, [item])
    assert body.keys() == {"items"}
    (answer,) = body["items"]
    assert answer.keys() == ANSWER_FIELDS[operation]


def test_encrypted_value_verifies(world: Any) -> None:
    """What `encrypt` answers, `verify` finds valid; other data it does not."""
    (stored,) = world.ask(Operation.ENCRYPT, [ITEMS[Operation.ENCRYPT]])["items"]
    items = [{**ITEMS[Operation.ENCRYPT], **stored}, {**ITEMS[Operation.ENCRYPT], **stored}]
    items[1]["sensitiveData"] = "other"
    assert world.ask(Operation.VERIFY, items)["items"] == [
        {"valid": True, "needs_update": False},
        {"valid": False, "needs_update": False},
    ]


def test_answers_keep_order_and_references(world: Any) -> None:
    """A batch is answered item by item, a bad one in its place, references echoed."""
    good = ITEMS[Operation.ENCRYPT]
    items = [
        {**good, "reference": "first"},
        {**good, "userUUID": "wrong", "reference": "second"},
        good,
    ]
    first, second, third = world.ask(Operation.ENCRYPT, items)["items"]
    assert first["reference"] == "first"
    assert second == {
        "error": {"code": "invalid_request", "message": "userUUID is not of the expected form."},
        "reference": "second",
    }
    assert third == {name: first[name] for name in ("encrypted_data", "key_version")}


def test_item_under_an_unavailable_version(world: Any) -> None:
    """An item that names a key version which is not known here fails alone, for now."""
    good = ITEMS[Operation.VERIFY]
    items = [{**good, "key_version": 9, "reference": "r"}, good]
    first, second = world.ask(Operation.VERIFY, items)["items"]
    assert first == {
        "error": {
            "code": "unavailable",
            "message": "This worker does not know the key version yet.",
            "retry_after": 1.0,
        },
        "reference": "r",
    }
    assert second == {"valid": False, "needs_update": False}


def with_second_version(keystore: Keystore) -> Keystore:
    """The keystore after a rotation: version 2 is there and makes new values."""
    second = keystore.key_versions[0].model_copy(update={"version": 2, "root": bytes(32)})
    return keystore.changed(key_versions=(*keystore.key_versions, second), primary=2)


def test_version_that_a_newer_keystore_knows(world: Any) -> None:
    """A worker that meets a key version it doesn't know rereads the keystore and answers."""
    newer = Keyring(with_second_version(world.keystore))
    value = {**ITEMS[Operation.VERIFY], "key_version": 2}
    world.service = Service(
        lambda: world.keyring, world.clock.now_ms, world.random.token_bytes, reread=lambda: newer
    )
    (answer,) = world.ask(Operation.VERIFY, [value])["items"]
    assert answer == {"valid": False, "needs_update": False}


def test_service_key_that_a_newer_keystore_knows(world: Any) -> None:
    """A worker that meets a service key it doesn't know rereads the keystore and answers."""
    other = change.new_keystore(
        recipients=["age1unused"],
        tenant="shop",
        profile=Profile.HARDENED,
        salt_pool=None,
        now_s=2_000_000_000,
        random=world.random,
    )
    newer = Keyring(
        world.keystore.changed(service_keys=(*world.keystore.service_keys, *other.service_keys))
    )
    world.service = Service(
        lambda: world.keyring, world.clock.now_ms, world.random.token_bytes, reread=lambda: newer
    )
    world.session = world.new_session(change.public_key(other))
    assert "items" in world.ask(Operation.ENCRYPT, [ITEMS[Operation.ENCRYPT]])


def test_replies_use_fresh_nonces(world: Any) -> None:
    """Two replies in one session never share a nonce."""
    sealed = world.seal(Operation.ENCRYPT, b"{}")
    first, second = (world.service.answer(Operation.ENCRYPT, ID, sealed) for _ in range(2))
    assert first != second
    assert world.open(Operation.ENCRYPT, first) == world.open(Operation.ENCRYPT, second)


def test_resent_message_is_answered_again(world: Any) -> None:
    """A second run of one message gives the same answer."""
    payload = b'{"apiKey":"%s","items":[{"field":"f","value":"v"}]}' % world.api_key.encode()
    sealed = world.seal(Operation.BLIND_INDEX, payload)
    answers = [
        world.open(Operation.BLIND_INDEX, world.service.answer(Operation.BLIND_INDEX, ID, sealed))
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert "items" in answers[0]


# --- the order of the checks


def test_schema_comes_before_the_key(world: Any) -> None:
    """A malformed request is told so, whatever its key."""
    body = world.ask(Operation.ENCRYPT, [], api_key=MARKER)
    assert body["error"]["code"] == "invalid_request"


def test_key_comes_before_expiry(world: Any) -> None:
    """An expired message with a wrong key says nothing about its expiry."""
    body = world.ask(Operation.ENCRYPT, [{}], api_key=MARKER, expiry_ms=0)
    assert body["error"]["code"] == "unauthorized"


def test_expiry_comes_before_scope(world: Any) -> None:
    """An expired message is expired, whether or not its key has the scope."""
    key = world.add_api_key(scopes=["verify"])
    body = world.ask(Operation.ENCRYPT, [{}], api_key=key, expiry_ms=0)
    assert body == {
        "error": {
            "code": "timeout",
            "message": "The message expired before a worker took it.",
        }
    }


def test_scope_comes_before_the_operation(world: Any) -> None:
    """Without the scope no item is worked on."""
    key = world.add_api_key(scopes=["verify"])
    body = world.ask(Operation.ENCRYPT, [ITEMS[Operation.ENCRYPT]], api_key=key)
    assert body == {
        "error": {
            "code": "forbidden",
            "message": "The API key does not have the scope of this operation.",
        }
    }


def test_tenants_have_values_of_their_own(world: Any) -> None:
    """The key's tenant, not anything in the request, decides the derived keys."""
    other = world.add_api_key(tenant="clinic")
    own, theirs = (
        world.ask(Operation.ENCRYPT, [ITEMS[Operation.ENCRYPT]], api_key=key)
        for key in (world.api_key, other)
    )
    assert own != theirs


def test_key_of_another_keystore(world: Any, new_world: Any) -> None:
    """A key that another service handed out is refused like any unknown one."""
    stranger = new_world(seed=2)
    body = world.ask(Operation.ENCRYPT, [{}], api_key=stranger.api_key)
    assert body == {"error": {"code": "unauthorized", "message": "The API key is not valid."}}


def test_unauthorized_answers_are_one(world: Any) -> None:
    """Malformed, unknown, expired and revoked keys cannot be told apart."""
    expired = world.add_api_key(expires_at=world.clock.value_ms // 1_000 + 1)
    revoked = world.add_api_key()
    record = world.keystore.api_keys[-1]
    world.use(change.revoke_api_key(world.keystore, record.key_id, 1))
    world.clock.forward(2)
    bodies = [
        world.ask(Operation.ENCRYPT, [{}], api_key=key) for key in ("x", "", expired, revoked)
    ]
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0]["error"]["code"] == "unauthorized"


# --- crashes


def crash(*_arguments: Any) -> Any:
    """An operation's bug whose exception holds input."""
    raise RuntimeError(MARKER)


def assert_incident(error: dict[str, Any], caplog: pytest.LogCaptureFixture, where: str) -> None:
    """The answer and the log share an id, and neither has the exception's message."""
    assert error["code"] == "internal"
    incident = error["message"].removeprefix("Internal error ").removesuffix(".")
    assert len(bytes.fromhex(incident)) == 8
    (record,) = caplog.records
    text = record.getMessage()
    assert record.levelno == logging.ERROR
    assert record.exc_info is None
    assert text.startswith(f"internal error {incident} in caas.encrypt: RuntimeError at ")
    assert f"({where})" in text
    assert text.endswith("(crash)")
    assert MARKER not in caplog.text + str(error)


def test_crash_in_an_operation(
    world: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in an operation fails its item with an id to look up, and nothing more."""
    monkeypatch.setattr(batch, "execute", crash)
    items = [{**ITEMS[Operation.ENCRYPT], "reference": "r"}]
    (answer,) = world.ask(Operation.ENCRYPT, items)["items"]
    assert answer["reference"] == "r"
    assert_incident(answer["error"], caplog, "_answer")


def test_crash_of_one_item(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash on one item leaves its neighbours' answers."""
    execute = batch.execute

    def pick(operation: Any, tenant: Any, item: Any, means: Any) -> Any:
        return crash() if item.reference else execute(operation, tenant, item, means)

    monkeypatch.setattr(batch, "execute", pick)
    good = ITEMS[Operation.ENCRYPT]
    answers = world.ask(Operation.ENCRYPT, [good, {**good, "reference": "r"}, good])["items"]
    assert ["error" in answer for answer in answers] == [False, True, False]


def test_typed_error_of_an_operation(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service error of an operation keeps its code and its time to wait."""

    def refuse(*_arguments: Any) -> Any:
        raise RateLimitedError(retry_after_s=7)

    monkeypatch.setattr(batch, "execute", refuse)
    (answer,) = world.ask(Operation.ENCRYPT, [ITEMS[Operation.ENCRYPT]])["items"]
    assert (answer["error"]["code"], answer["error"]["retry_after"]) == ("rate_limited", 7)


def test_crash_in_the_policy(
    world: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug before the operation fails the whole request with an id."""
    monkeypatch.setattr(policy, "authenticate", crash)
    body = world.ask(Operation.ENCRYPT, [ITEMS[Operation.ENCRYPT]])
    assert body.keys() == {"error"}
    assert_incident(body["error"], caplog, "_body")


def test_crash_before_opening(
    world: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no session is known there is nothing to seal with: the answer is the unsealed one."""
    monkeypatch.setattr(world.service, "_keyring", crash)
    sealed = world.seal(Operation.ENCRYPT, b"{}")
    assert world.service.answer(Operation.ENCRYPT, ID, sealed) == "unreadable"
    (record,) = caplog.records
    assert "RuntimeError at " in record.getMessage()
    assert MARKER not in caplog.text


def test_unreadable_message_is_not_logged(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Anyone can send rubbish: it does not fill the log."""
    with caplog.at_level(logging.DEBUG):
        assert world.service.answer(Operation.ENCRYPT, ID, "rubbish") == "unreadable"
    assert caplog.records == []


def test_message_id_that_is_no_unicode(world: Any) -> None:
    """A message id that cannot be encoded is answered, not raised."""
    sealed = world.seal(Operation.ENCRYPT, b"{}")
    assert world.service.answer(Operation.ENCRYPT, "\ud800", sealed) == "unreadable"


def test_service_asks_for_the_keyring_each_time(world: Any) -> None:
    """A new keystore counts from the next request: the old service key's sessions end with it."""
    assert "items" in world.ask(Operation.ENCRYPT, [ITEMS[Operation.ENCRYPT]])
    service_key = world.keystore.service_keys[0].model_copy(update={"key_id": "0" * 16})
    other = world.keystore.changed(service_keys=(service_key,))
    world.keyring = type(world.keyring)(other)
    sealed = world.seal(Operation.ENCRYPT, b"{}")
    assert world.service.answer(Operation.ENCRYPT, ID, sealed) == "unreadable"


# --- anything at all


@given(st.text() | st.none() | st.integers() | st.binary(), st.text(max_size=40))
def test_any_text_is_answered(shared_world: Any, sealed: object, message_id: str) -> None:
    """Whatever comes from the broker, there is an answer and no exception."""
    answer = shared_world.service.answer(Operation.VERIFY, message_id, sealed)
    assert answer == envelope.UNREADABLE_REPLY


@given(st.sampled_from(Operation), st.binary(max_size=200))
def test_any_payload_is_answered(shared_world: Any, operation: Operation, payload: bytes) -> None:
    """Whatever an authentic message holds, the answer is a sealed error."""
    body = shared_world.ask_raw(operation, payload)
    assert body["error"]["code"] == InvalidRequestError.code


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
FIELDS = ["userUUID", "sensitiveData", "encrypted_data", "key_version", "reference", "value"]


@given(
    st.sampled_from(Operation),
    st.lists(
        JSON_VALUES
        | st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES | st.just(UUID), max_size=5),
        min_size=1,
        max_size=4,
    ),
)
def test_any_items_are_answered(shared_world: Any, operation: Operation, items: list[Any]) -> None:
    """Whatever an authorised message asks, each item has its answer, none of them internal."""
    answers = shared_world.ask(operation, items)["items"]
    assert len(answers) == len(items)
    assert not [a for a in answers if a.get("error", {}).get("code") == "internal"]


def test_every_scope_is_tried_here() -> None:
    """The items above cover every operation there is."""
    assert {operation.value for operation in ITEMS} == set(SCOPES)
