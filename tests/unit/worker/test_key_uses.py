"""When a key was last used: written by the way, seldom, and never lost to an outage."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import fakeredis
import pytest
import redis

from caas_tasks.names import API_KEYS_USED
from worker.key_uses import INTERVAL_S, KeyUses

NOW_S = 1_760_000_000


class Server(fakeredis.FakeRedis):
    """A server that tells when it was written to, and can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Semaphore(0)
        self.failures = 0
        self.mappings: list[dict[str, int]] = []

    def hset(self, name: str, *args: Any, **options: Any) -> Any:
        if self.failures:
            self.failures -= 1
            raise redis.ConnectionError
        self.mappings.append(options["mapping"])
        result = super().hset(name, *args, **options)
        self.written.release()
        return result

    def wait(self) -> None:
        assert self.written.acquire(timeout=60)


def read(server: Server) -> dict[str, int]:
    found = server.hgetall(API_KEYS_USED)
    return {key_id.decode(): int(seconds) for key_id, seconds in found.items()}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def new_uses(server: Server) -> Iterator[Callable[[], KeyUses]]:
    """Makes notes that retry at once; they are closed at the end."""
    made: list[KeyUses] = []

    def wait(event: threading.Event, timeout_s: float | None) -> bool:
        return event.wait() if timeout_s is None else event.is_set()

    def make() -> KeyUses:
        made.append(KeyUses(server, wait))
        return made[-1]

    yield make
    for uses in made:
        uses.close()


def test_use_is_written(server: Server, new_uses: Callable[[], KeyUses]) -> None:
    """A use gets to Redis without the caller waiting, under the key's id."""
    new_uses().note("abc", NOW_S)
    server.wait()
    assert read(server) == {"abc": NOW_S}


def test_use_is_written_once_a_minute(server: Server, new_uses: Callable[[], KeyUses]) -> None:
    """A busy key costs one write a minute."""
    uses = new_uses()
    for second in range(INTERVAL_S):
        uses.note("abc", NOW_S + second)
    server.wait()
    uses.note("abc", NOW_S + INTERVAL_S)
    server.wait()
    uses.close()
    assert server.mappings == [{"abc": NOW_S}, {"abc": NOW_S + INTERVAL_S}]


def test_outage_delays_the_note(
    server: Server, new_uses: Callable[[], KeyUses], caplog: pytest.LogCaptureFixture
) -> None:
    """While Redis can't be reached the note waits; the log says what kind of fault it was."""
    server.failures = 2
    new_uses().note("abc", NOW_S)
    server.wait()
    assert read(server) == {"abc": NOW_S}
    assert [record.getMessage() for record in caplog.records] == [
        "last uses of API keys not written: ConnectionError"
    ] * 2


def test_close_writes_what_is_due(server: Server, new_uses: Callable[[], KeyUses]) -> None:
    """The last notes of a worker are written when it stops."""
    uses = new_uses()
    uses.note("abc", NOW_S)
    uses.close()
    assert read(server) == {"abc": NOW_S}


def test_close_without_a_note(server: Server, new_uses: Callable[[], KeyUses]) -> None:
    """A worker that nobody asked has no thread and nothing to write."""
    new_uses().close()
    assert server.mappings == []


def test_close_during_an_outage(server: Server, new_uses: Callable[[], KeyUses]) -> None:
    """A worker stops though its notes can't be written."""
    server.failures = 10**6
    uses = new_uses()
    uses.note("abc", NOW_S)
    uses.close()
    assert server.mappings == []
    server.failures = 0
