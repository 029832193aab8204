"""Every operation, through both clients, with the real operations behind the real envelope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from caas_tasks.errors import (
    InvalidRequestError,
    PayloadTooLargeError,
    RequestTimeoutError,
    ServiceUnavailableError,
    UnauthorizedError,
)
from caas_tasks.names import Lane, Operation
from producer_client import BlindIndex, Encrypted, Verification, Wrapped
from producer_client.testing import InMemoryService

USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
OTHER_UUID = "00000000-0000-4000-8000-000000000001"
Call = Callable[..., Any]


def is_hex_96(text: str) -> bool:
    return len(text) == 96 and set(text) <= set("0123456789abcdef")


def test_encrypt_gives_a_value_and_its_version(call: Call) -> None:
    """The value fits one column whatever the algorithm, and its version stands beside it."""
    stored = call("encrypt", USER_UUID, "example sensitive data")
    assert isinstance(stored, Encrypted)
    assert is_hex_96(stored.encrypted_data)
    assert stored.key_version == 1


def test_encrypt_is_deterministic_per_user_and_data(call: Call) -> None:
    """The same user and data give the same value, another of either gives another."""
    one = call("encrypt", USER_UUID, "a")
    assert call("encrypt", UUID(USER_UUID), "a") == one
    assert call("encrypt", USER_UUID.upper(), "a") == one
    assert len({one, call("encrypt", USER_UUID, "b"), call("encrypt", OTHER_UUID, "a")}) == 3


@pytest.mark.parametrize("data", ["", "x" * 65_536, "ä\0\U0001f512\n", "\x01" * 65_536])
def test_any_text_up_to_the_limit_is_taken(call: Call, data: str) -> None:
    """Empty, large and odd texts are data like any other."""
    stored = call("encrypt", USER_UUID, data)
    assert call("verify", USER_UUID, data, stored.encrypted_data).valid


@pytest.mark.parametrize("key_version", [None, 1])
def test_verify_tells_right_from_wrong(call: Call, key_version: int | None) -> None:
    """Only the data that a value was made from, under its user, is valid."""
    stored = call("encrypt", USER_UUID, "a").encrypted_data
    assert call("verify", USER_UUID, "a", stored, key_version) == Verification(
        valid=True, needs_update=False
    )
    for user, data, value in (
        (USER_UUID, "b", stored),
        (OTHER_UUID, "a", stored),
        (USER_UUID, "a", "0" * 96),
    ):
        assert not call("verify", user, data, value, key_version)


def test_verify_of_an_unknown_version_can_be_tried_again(call: Call) -> None:
    """A version that no file has yet is told from one that is gone: its file may be under way."""
    with pytest.raises(ServiceUnavailableError) as caught:
        call("verify", USER_UUID, "a", "0" * 96, 7)
    assert caught.value.retry_after_s == 1.0


def test_candidates_hold_the_stored_value(call: Call) -> None:
    """Every enabled version's value is among them."""
    assert call("candidates", USER_UUID, "a") == (call("encrypt", USER_UUID, "a"),)


def test_blind_index_knows_no_user_but_a_field(call: Call) -> None:
    """Equal values have equal indexes within a field, and others in another."""
    (index,) = call("blind_index", "email", "a@example.org")
    assert isinstance(index, BlindIndex)
    assert is_hex_96(index.index)
    assert call("blind_index", "email", "a@example.org") == (index,)
    assert call("blind_index", "phone", "a@example.org") != (index,)


def test_wrap_makes_a_legacy_digest_safe(call: Call) -> None:
    """A digest is wrapped under the newest version, bound to its user."""
    wrapped = call("wrap", USER_UUID, "5f4dcc3b5aa765d61d8327deb882cf99")
    assert isinstance(wrapped, Wrapped)
    assert is_hex_96(wrapped.wrapped)
    assert call("wrap", OTHER_UUID, "5f4dcc3b5aa765d61d8327deb882cf99") != wrapped


def test_classic_profile_gives_classic_values() -> None:
    """A service of the classic profile answers with a plain digest."""
    service = InMemoryService(profile="classic", salt_pool=["salt", "pepper"])
    with service.client() as client:
        stored = client.encrypt(USER_UUID, "data")
        assert client.verify(USER_UUID, "data", stored.encrypted_data, stored.key_version)
    assert repr(service) == "InMemoryService(tenant='test')"


def test_tenants_have_values_of_their_own() -> None:
    """Another tenant's key, of another service or not, gives other values."""
    values = set()
    for tenant in ("shop", "clinic"):
        with InMemoryService(tenant=tenant).client() as client:
            values.add(client.encrypt(USER_UUID, "a").encrypted_data)
    assert len(values) == 2


def test_ping_reaches_a_worker(call: Call) -> None:
    """Nothing in the way is no error."""
    call("ping")


def test_ping_tells_of_an_outage(
    surface: Any, client: Any, call: Call, service: InMemoryService
) -> None:
    """A broker that can't be reached is what ping says."""
    with service.outage():
        surface.notice_outage(client)
        with pytest.raises(ServiceUnavailableError):
            call("ping", timeout_s=0.05)


def test_ping_tells_of_silence(call: Call, service: InMemoryService) -> None:
    """No worker that answers is what ping says."""
    with service.silence(), pytest.raises(RequestTimeoutError):
        call("ping", timeout_s=0.05)


# Items in wire form, as fronts pass them on


def test_items_are_answered_in_order_with_errors_in_place(call: Call) -> None:
    """One bad item never fails its neighbours."""
    good = {"userUUID": USER_UUID, "sensitiveData": "a"}
    bad = {"userUUID": "canary", "sensitiveData": "a"}
    first, second, third = call("request_items", Operation.ENCRYPT, [good, bad, good])
    assert first == third
    assert is_hex_96(first["encrypted_data"])
    assert isinstance(second, InvalidRequestError)
    assert "canary" not in str(second)


def test_many_items_are_several_messages(call: Call) -> None:
    """More items than a message has are split and joined again."""
    items = [{"userUUID": USER_UUID, "sensitiveData": str(n % 7)} for n in range(1_201)]
    answers = call("request_items", Operation.ENCRYPT, items)
    assert [answers.index(answer) for answer in answers] == [n % 7 for n in range(1_201)]


def test_no_items_are_no_answers(call: Call) -> None:
    """Nothing asked, nothing sent, nothing answered."""
    assert call("request_items", Operation.ENCRYPT, []) == []


def test_request_may_bring_its_own_api_key(call: Call, service: InMemoryService) -> None:
    """A front passes its callers' keys on."""
    item = {"userUUID": USER_UUID, "sensitiveData": "a"}
    other = service.add_api_key()
    (answer,) = call("request_items", Operation.ENCRYPT, [item], api_key=other)
    assert answer["key_version"] == 1
    with pytest.raises(UnauthorizedError):
        call("request_items", Operation.ENCRYPT, [item], api_key="nobody's")


def test_item_too_large_for_any_message_is_refused(call: Call) -> None:
    """A request in wire form is bounded before it is queued."""
    item = {"userUUID": USER_UUID, "sensitiveData": "x" * 1_100_000}
    with pytest.raises(PayloadTooLargeError):
        call("request_items", Operation.ENCRYPT, [item])


def test_request_that_fails_leaves_no_message_behind(
    call: Call, client: Any, service: InMemoryService
) -> None:
    """When the first of several messages fails, the others are not waited for by nobody."""
    item = {"userUUID": USER_UUID, "sensitiveData": "a"}
    given_up: list[object] = []
    dispatcher = client._dispatchers[Lane.FAST]
    give_up = dispatcher.give_up

    def watched(one: object) -> Any:
        given_up.append(one)
        return give_up(one)

    dispatcher.give_up = watched
    with service.silence(), pytest.raises(RequestTimeoutError):
        call("request_items", Operation.ENCRYPT, [item] * 1_201, timeout_s=0.02)
    assert len(set(given_up)) == 3
    assert dispatcher.is_idle
