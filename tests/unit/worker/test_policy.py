"""The policy's checks at their edges."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from caas_tasks import api_key
from caas_tasks.errors import (
    ForbiddenError,
    InvalidRequestError,
    RequestTimeoutError,
    UnauthorizedError,
)
from caas_tasks.names import Operation
from worker import policy
from worker.keystore import change

NOW_MS = 1_760_000_000_000


def test_valid_key_gives_its_record(world: Any) -> None:
    """The right key gives the record with tenant and scopes."""
    record = policy.authenticate(world.keyring, world.api_key, NOW_MS)
    assert record == world.keystore.api_keys[0]


def test_unknown_key(world: Any, seeded_random: Any) -> None:
    """A well-formed key of nobody is refused."""
    seeded_random.token_bytes(99)
    with pytest.raises(UnauthorizedError) as caught:
        policy.authenticate(world.keyring, api_key.generate(seeded_random.choice), NOW_MS)
    assert caught.value == UnauthorizedError()


def test_unknown_key_costs_a_comparison(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown id is hashed and compared too, so that time does not tell which ids exist."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return True

    monkeypatch.setattr(hmac, "compare_digest", compare)
    text = api_key.generate(world.random.choice)
    with pytest.raises(UnauthorizedError):
        policy.authenticate(world.keyring, text, NOW_MS)
    assert compared == [(api_key.digest(text), bytes(32))]


def test_right_id_with_another_secret(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Knowing a key's public id is worth nothing."""
    forged = api_key.generate(world.random.choice)
    monkeypatch.setattr(api_key, "parse_id", lambda _text: world.keystore.api_keys[0].key_id)
    with pytest.raises(UnauthorizedError):
        policy.authenticate(world.keyring, forged, NOW_MS)


@pytest.mark.parametrize(("now_ms", "is_valid"), [(NOW_MS + 9_999, True), (NOW_MS + 10_000, False)])
def test_expiry_of_a_key(world: Any, now_ms: int, is_valid: bool) -> None:
    """A key is valid to the last millisecond before its expiry."""
    text = world.add_api_key(expires_at=NOW_MS // 1_000 + 10)
    if is_valid:
        assert policy.authenticate(world.keyring, text, now_ms).hint == api_key.hint(text)
    else:
        with pytest.raises(UnauthorizedError) as caught:
            policy.authenticate(world.keyring, text, now_ms)
        assert caught.value == UnauthorizedError()


def test_revoked_key(world: Any) -> None:
    """A revoked key gets the same answer as one that never was."""
    record = world.keystore.api_keys[0]
    world.use(change.revoke_api_key(world.keystore, record.key_id, 1))
    with pytest.raises(UnauthorizedError) as caught:
        policy.authenticate(world.keyring, world.api_key, NOW_MS)
    assert caught.value == UnauthorizedError()


@pytest.mark.parametrize("expiry_ms", [NOW_MS - 5_000, NOW_MS, NOW_MS + 90_000_000])
def test_message_in_time(expiry_ms: int) -> None:
    """A message counts as in time for five seconds after its expiry and 25 hours before it."""
    policy.check_expiry(expiry_ms, NOW_MS)


@pytest.mark.parametrize("expiry_ms", [NOW_MS - 5_001, 0])
def test_message_too_late(expiry_ms: int) -> None:
    """An expired message is a time-out."""
    with pytest.raises(RequestTimeoutError) as caught:
        policy.check_expiry(expiry_ms, NOW_MS)
    assert caught.value.message == "The message expired before a worker took it."


@pytest.mark.parametrize("expiry_ms", [NOW_MS + 90_000_001, 2**64 - 1])
def test_message_that_would_live_too_long(expiry_ms: int) -> None:
    """A message that could be replayed for ever is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        policy.check_expiry(expiry_ms, NOW_MS)
    assert caught.value.message == "The message's expiry lies too far ahead."


@pytest.mark.parametrize("operation", Operation)
def test_scope(world: Any, operation: Operation) -> None:
    """Each operation needs its own scope and no other."""
    text = world.add_api_key(scopes=[operation.value])
    record = policy.authenticate(world.keyring, text, NOW_MS)
    policy.check_scope(record, operation)
    for other in set(Operation) - {operation}:
        with pytest.raises(ForbiddenError):
            policy.check_scope(record, other)
