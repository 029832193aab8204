"""When API keys were last used: from the broker, which may be away or say anything."""

from __future__ import annotations

from typing import Any

import fakeredis
import pytest
import redis

from caas_cli import client_env, last_use
from caas_cli.home import Home
from caas_tasks.names import API_KEYS_USED

IDS = ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> fakeredis.FakeRedis:
    """A broker that the command line reaches."""
    connection = fakeredis.FakeRedis()
    monkeypatch.setattr(last_use, "connect", lambda *_args, **_options: connection)
    return connection


def test_used_and_unused_keys(made: Home, server: Any) -> None:
    """A key that workers have noted has its time; another one was never used."""
    server.hset(API_KEYS_USED, IDS[0], "1760000000")
    used = last_use.read(made, IDS)
    words = [last_use.in_words(used, key_id) for key_id in IDS]
    assert words == ["2025-10-09T08:53:20Z", "never"]


@pytest.mark.parametrize("value", ["canary", "-1", "1.5", "", "9" * 13, "9" * 5_000, "\u0663"])
def test_broker_that_says_anything(made: Home, server: Any, value: str) -> None:
    """What is no time is left out."""
    server.hset(API_KEYS_USED, IDS[0], value)
    assert last_use.read(made, IDS) == {}


def test_hash_of_another_type(made: Home, server: Any) -> None:
    """A broker where something else has the name knows nothing."""
    server.set(API_KEYS_USED, "canary")
    assert last_use.read(made, IDS) is None


def test_no_keys(made: Home) -> None:
    """With nothing to ask for no broker is asked."""
    assert last_use.read(made, []) == {}


def test_latest_of_several_brokers(made: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that went by several brokers was last used when any of them saw it last."""
    answers = iter([{IDS[0]: 5, IDS[1]: 9}, None, {IDS[0]: 7}])
    monkeypatch.setattr(last_use, "read_brokers", lambda _urls: (1, 2, 3))
    monkeypatch.setattr(last_use, "_ask", lambda *_args: next(answers))
    assert last_use.read(made, IDS) == {IDS[0]: 7, IDS[1]: 9}


@pytest.mark.parametrize("error", [redis.ConnectionError, redis.TimeoutError, OSError])
def test_broker_that_is_away(
    made: Home, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """Without a broker nothing is known, which is not the same as never used."""

    def fail(*_args: object, **_options: object) -> None:
        raise error("canary")

    monkeypatch.setattr(last_use, "connect", fail)
    used = last_use.read(made, IDS)
    assert (used, last_use.in_words(used, IDS[0])) == (None, "unknown")


def test_home_without_a_broker(made: Home) -> None:
    """A home that names no broker knows nothing of uses."""
    made.client_env.unlink()
    assert client_env.read(made.client_env) == {}
    assert last_use.read(made, IDS) is None
