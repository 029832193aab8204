"""Connections of redis-py: the right class with the right options, and nothing connected yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis
from redis.sentinel import SentinelManagedConnection

from caas_tasks.redis_connection import (
    LocalSentinelConnection,
    SentinelTlsConnection,
    TlsConnection,
    connect,
    open_pool,
)
from caas_tasks.redis_url import BrokerTls, parse_broker_url

TLS = BrokerTls(Path("/ca"), Path("/cert"), Path("/key"))


@pytest.mark.parametrize(
    ("url", "connection_class", "expected"),
    [
        ("redis://u:p@localhost:1/2", redis.Connection, {"host": "localhost", "port": 1, "db": 2}),
        ("rediss://h/3", TlsConnection, {"host": "h", "port": 6379, "ssl_ca_certs": "/ca"}),
        ("unix:///s?db=4", redis.UnixDomainSocketConnection, {"path": "/s", "db": 4}),
        ("sentinel://localhost/5?service=s", LocalSentinelConnection, {"db": 5}),
        ("sentinels://h/6?service=s", SentinelTlsConnection, {"ssl_certfile": "/cert"}),
    ],
)
def test_pool(url: str, connection_class: type, expected: dict[str, Any]) -> None:
    """Each form of address gives its kind of connection."""
    pool = open_pool(parse_broker_url(url, TLS), socket_timeout=7, socket_connect_timeout=8)
    assert pool.connection_class is connection_class
    assert expected.items() <= pool.connection_kwargs.items()
    assert pool.connection_kwargs["socket_timeout"] == 7
    pool.connection_class(**pool.connection_kwargs)  # takes all of them


def test_login() -> None:
    """User and password go to the server, of Sentinel's primary too."""
    for url in ("redis://u:p@localhost", "sentinel://u:p@localhost/0?service=s"):
        options = open_pool(parse_broker_url(url)).connection_kwargs
        assert (options["username"], options["password"]) == ("u", "p")


def test_sentinels_are_asked_as_securely() -> None:
    """Over TLS the sentinels are verified too; they get no login of the primary's."""
    pool: Any = open_pool(parse_broker_url("sentinels://u:p@one:1;two:2/0?service=s", TLS))
    pools = [sentinel.connection_pool for sentinel in pool.proxy.sentinel_manager.sentinels]
    assert [each.connection_class for each in pools] == [TlsConnection, TlsConnection]
    assert [each.connection_kwargs["host"] for each in pools] == ["one", "two"]
    assert "password" not in pools[0].connection_kwargs


def test_plain_primary_elsewhere_is_refused() -> None:
    """Local sentinels that name another machine don't make a plain connection leave this one."""
    connection = LocalSentinelConnection(connection_pool=None)
    with pytest.raises(redis.ConnectionError, match="on another machine"):
        connection.connect_to(("10.0.0.1", 6379))


def test_plain_primary_elsewhere_where_allowed() -> None:
    """With leave to, a plain primary may be anywhere."""
    broker = parse_broker_url("sentinel://h/0?service=s", allow_plaintext=True)
    assert open_pool(broker).connection_class is SentinelManagedConnection


def test_client_is_made_without_connecting() -> None:
    """Making and closing a client needs no server."""
    connect(parse_broker_url("redis://127.0.0.1:1")).close()
