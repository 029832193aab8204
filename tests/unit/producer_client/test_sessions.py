"""Sessions: a new secret once an hour or every 2^20 messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from caas_tasks.envelope import ServicePublicKey
from producer_client import sessions
from producer_client.sessions import SessionSource
from worker.keystore import change


@pytest.fixture
def source(keystore: Any, clock: Any, seeded_random: Any) -> SessionSource:
    server_key: ServicePublicKey = change.public_key(keystore)
    return SessionSource(server_key, clock.monotonic, seeded_random.token_bytes)


def test_session_is_kept_within_its_hour(source: SessionSource, clock: Any) -> None:
    """Messages of an hour travel under one wrapped secret."""
    first = source.current()
    clock.forward(3_599.9)
    assert source.current() is first


def test_session_is_renewed_after_its_hour(source: SessionSource, clock: Any) -> None:
    """An hour after its start a session gives way to one with another secret."""
    first = source.current()
    clock.forward(3_600)
    second = source.current()
    assert second.wrapped != first.wrapped
    clock.forward(3_599.9)
    assert source.current() is second


def test_session_is_renewed_after_its_messages(
    source: SessionSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session seals a bounded number of messages under random nonces."""
    assert sessions.MAX_MESSAGES == 2**20
    monkeypatch.setattr(sessions, "MAX_MESSAGES", 3)
    drawn = [source.current() for _ in range(7)]
    assert [drawn.index(session) for session in drawn] == [0, 0, 0, 3, 3, 3, 6]


def test_secret_has_32_random_bytes(keystore: Any, clock: Any) -> None:
    """Each session draws its secret anew, and whole."""
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes(count)

    draw: Callable[[int], bytes] = random_bytes
    SessionSource(change.public_key(keystore), clock.monotonic, draw).current()
    assert asked == [32]
