"""An API key's own limit, and its last use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from caas_tasks.errors import RateLimitedError
from caas_tasks.items import BlindIndexItem
from caas_tasks.messages import RefusedItem
from caas_tasks.names import Operation
from worker.key_guard import KeyGuard
from worker.keystore.document import ApiKey
from worker.service import Service

NOW_MS = 1_760_000_000_000


class Uses:
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, int]] = []

    def note(self, key_id: str, now_s: int) -> None:
        self.notes.append((key_id, now_s))


@pytest.fixture
def api_key(world: Any) -> ApiKey:
    record: ApiKey = world.keystore.api_keys[0]
    return record.model_copy(update={"requests_per_s": 10})


def items(count: int) -> list[Any]:
    return [
        BlindIndexItem.model_validate({"field": "f", "value": "v", "reference": str(number)})
        for number in range(count)
    ]


def admitted(found: Sequence[Any]) -> int:
    return sum(not isinstance(item, RefusedItem) for item in found)


def test_key_without_a_limit(world: Any) -> None:
    """A key that has no limit gets its items back as they are."""
    asked = items(50)
    assert KeyGuard(world.clock.monotonic).admit(world.keystore.api_keys[0], asked, 0) is asked


def test_limit_within_a_second(world: Any, api_key: ApiKey) -> None:
    """A key gets a second's worth at once, and then as much as time brings."""
    guard = KeyGuard(world.clock.monotonic)
    assert [admitted(guard.admit(api_key, items(6), NOW_MS)) for _ in range(3)] == [6, 4, 0]
    world.clock.forward(0.35)
    assert admitted(guard.admit(api_key, items(6), NOW_MS)) == 3
    world.clock.forward(3_600)
    assert admitted(guard.admit(api_key, items(100), NOW_MS)) == 10


def test_items_over_the_limit_are_refused_in_their_places(world: Any, api_key: ApiKey) -> None:
    """The first items pass; the others say when to come back, and keep their references."""
    found = KeyGuard(world.clock.monotonic).admit(api_key, items(31), NOW_MS)
    assert admitted(found[:10]) == 10
    error = RateLimitedError("Too many requests with this API key.", retry_after_s=3)
    assert found[10:] == [RefusedItem(error, str(number)) for number in range(10, 31)]


def test_keys_are_limited_apart(world: Any, api_key: ApiKey) -> None:
    """One key's load does not use up another's limit."""
    guard = KeyGuard(world.clock.monotonic)
    guard.admit(api_key, items(10), NOW_MS)
    other = api_key.model_copy(update={"key_id": "other"})
    assert admitted(guard.admit(other, items(10), NOW_MS)) == 10


def test_lowered_limit_counts_at_once(world: Any, api_key: ApiKey) -> None:
    """A new keystore's limit holds from the next request."""
    guard = KeyGuard(world.clock.monotonic)
    guard.admit(api_key, items(1), NOW_MS)
    lower = api_key.model_copy(update={"requests_per_s": 2})
    assert admitted(guard.admit(lower, items(10), NOW_MS)) == 2


def test_use_is_noted(world: Any, api_key: ApiKey) -> None:
    """Each request notes its key and the time in seconds."""
    uses: Any = Uses()
    KeyGuard(world.clock.monotonic, uses).admit(api_key, items(1), NOW_MS + 999)
    assert uses.notes == [(api_key.key_id, NOW_MS // 1_000)]


def test_service_limits_a_key(world: Any) -> None:
    """Over its limit a key's items are answered with `rate_limited` and a time to wait."""
    (record,) = world.keystore.api_keys
    limited = record.model_copy(update={"requests_per_s": 1})
    world.use(world.keystore.changed(api_keys=(limited,)))
    world.service = Service(
        lambda: world.keyring,
        world.clock.now_ms,
        world.random.token_bytes,
        key_guard=KeyGuard(world.clock.monotonic),
    )
    asked = [{"field": "f", "value": "v"}, {"field": "f", "value": "v", "reference": "r"}]
    first, second = world.ask(Operation.BLIND_INDEX, asked)["items"]
    assert "indexes" in first
    assert second == {
        "error": {
            "code": "rate_limited",
            "message": "Too many requests with this API key.",
            "retry_after": 1,
        },
        "reference": "r",
    }
