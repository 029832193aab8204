"""The broker transport: no hidden retries, one client a channel, a typed error when it is gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kombu import Connection
from kombu.transport import redis as kombu_redis
from kombu.transport import resolve_transport

from caas_tasks import broker_transport


def unconnected(connection: Any) -> broker_transport.Channel:
    """A channel that has not tried its server."""
    channel = broker_transport.Channel.__new__(broker_transport.Channel)
    channel.connection = connection
    return channel


def test_transport_is_registered() -> None:
    """The transport is found by kombu under the scheme that addresses are given."""
    assert resolve_transport("caasredis") is broker_transport.Transport
    assert broker_transport.Transport.Channel is broker_transport.Channel


def test_connections_never_retry_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parameters are kombu's, with retries off."""
    monkeypatch.setattr(
        kombu_redis.Channel, "_connparams", lambda self, asynchronous: {"db": 1, "a": asynchronous}
    )
    channel = unconnected(SimpleNamespace(client=Connection("memory://")))
    parameters = channel._connparams(asynchronous=True)
    assert (parameters["db"], parameters["a"]) == (1, True)
    assert parameters["retry"].get_retries() == 0


def test_given_client_is_used() -> None:
    """A client that the caller brings is the one it gets."""
    client = object()
    with unconnected(None).conn_or_acquire(client) as found:
        assert found is client


def test_one_client_a_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations share one client until the channel has another pool."""
    pools = [object(), object()]
    monkeypatch.setattr(broker_transport.Channel, "pool", property(lambda self: pools[0]))
    channel = unconnected(None)
    channel._create_client = lambda: SimpleNamespace(connection_pool=pools[0])
    with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
        assert first is second
    pools.pop(0)
    with channel.conn_or_acquire() as third:
        assert third is not first


def lane_channel(given: list[Any]) -> broker_transport.Channel:
    """A channel that notes what it hands to its consumer."""
    connection = SimpleNamespace(_deliver=lambda message, queue: given.append((queue, message)))
    channel = unconnected(connection)
    channel._queue_cycle = SimpleNamespace(rotate=lambda _queue: None)
    return channel


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"body": "\xc3\xa9"}', {"body": "é"}),
        # What only the standard library's parser takes still reaches the worker, which answers it.
        (b'{"body": "\\ud800"}', {"body": "\ud800"}),
    ],
)
def test_messages_of_a_lane_are_parsed(text: bytes, expected: Any) -> None:
    """By the fast parser, or by the standard library's where that refuses."""
    given: list[Any] = []
    lane_channel(given)._give(b"caas.fast", text)
    assert given == [("caas.fast", expected)]


def test_what_is_no_message_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither parser takes it: the worker goes on, and is ready for the next."""
    given: list[Any] = []
    channel = lane_channel(given)
    channel._in_poll = object()
    monkeypatch.setattr(channel, "_popped", lambda _options: (b"caas.fast", b"\xff no JSON"))
    monkeypatch.setattr(channel, "_flush_brpop_reauth", lambda: None)
    assert channel._brpop_read()
    assert (given, channel._in_poll) == ([], None)
