"""Connections to a broker for redis-py: plain, over TLS, or to the primary that sentinels name.

Over TLS the broker is verified: by the authorities of `CAAS_BROKER_CA` and no others where it is
set, by the system's otherwise, and by the name or address that was asked for; see
`caas_tasks.broker_tls`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import redis
from redis.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection

from caas_tasks.broker_tls import tls_context
from caas_tasks.redis_url import Address, BrokerUrl, is_loopback

SENTINEL_TIMEOUT_S: Final = 1.0
"""How long one sentinel may take; the next is asked then."""

NO_INTRODUCTION: Final[dict[str, Any]] = {"driver_info": None}
"""Option of redis-py: without it each connection tells the server the library's name and version,
in two commands that the users of an ACL would need a right to."""


class TlsConnection(redis.SSLConnection):
    """A verified connection.

    redis-py's own trusts the system's authorities beside the given ones. The files are read for
    each connection, so that renewed certificates are used without a restart.
    """

    def _wrap_socket_with_ssl(self, sock: Any) -> Any:
        context = tls_context(self.ca_certs, self.certfile, self.keyfile)
        return context.wrap_socket(sock, server_hostname=self.host)


class SentinelTlsConnection(SentinelManagedConnection, TlsConnection):
    """A verified connection to the primary that sentinels name."""


class LocalSentinelConnection(SentinelManagedConnection):
    """A plain connection to a primary of this machine, whatever the sentinels say."""

    def connect_to(self, address: Address) -> None:
        """Connect, unless that would be a plain connection to another machine."""
        if not is_loopback(address[0]):
            raise redis.ConnectionError("The primary is on another machine and needs sentinels://.")
        super().connect_to(address)  # type: ignore[no-untyped-call] # redis-py's


def sentinel_pool(
    sentinels: Sequence[Address], service: str, tls: dict[str, Any] | None, **options: Any
) -> redis.ConnectionPool:
    """A pool of connections to the primary; each new connection asks the sentinels for it.

    Args:
        tls: `BrokerTls.options`, for the sentinels; None without TLS.
        options: of the connections to the primary, with their `connection_class`.
    """
    to_sentinel: dict[str, Any] = {
        "connection_class": TlsConnection if tls else redis.Connection,
        "socket_timeout": SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": SENTINEL_TIMEOUT_S,
        "retry": options.get("retry"),
        **NO_INTRODUCTION,
        **(tls or {}),
    }
    manager = Sentinel([])  # type: ignore[no-untyped-call] # redis-py's
    manager.sentinels = [
        redis.Redis.from_pool(redis.ConnectionPool(host=host, port=port, **to_sentinel))
        for host, port in sentinels
    ]
    make: Any = SentinelConnectionPool  # redis-py gives it no types
    pool: redis.ConnectionPool = make(service, manager, is_master=True, **options)
    return pool


def open_pool(broker: BrokerUrl, **options: Any) -> redis.ConnectionPool:
    """A pool of connections to a broker; it connects when first used."""
    parts: dict[str, Any] = {
        "db": broker.database,
        "username": broker.username,
        "password": broker.password,
        **NO_INTRODUCTION,
        **options,
    }
    tls = broker.ssl or {}
    if broker.sentinels:
        plain = SentinelManagedConnection if broker.allows_plaintext else LocalSentinelConnection
        parts["connection_class"] = SentinelTlsConnection if tls else plain
        return sentinel_pool(broker.sentinels, broker.service, broker.ssl, **tls, **parts)
    if broker.socket_path is not None:
        return redis.ConnectionPool(
            connection_class=redis.UnixDomainSocketConnection,
            path=broker.socket_path,
            **{name: parts[name] for name in parts if name != "socket_connect_timeout"},
        )
    host, port = broker.address or ("", 0)
    parts["connection_class"] = TlsConnection if tls else redis.Connection
    return redis.ConnectionPool(host=host, port=port, **tls, **parts)


def connect(broker: BrokerUrl, **options: Any) -> redis.Redis:
    """A thread-safe client of a broker; it connects when first used.

    Args:
        options: of redis-py's connections, such as `socket_timeout` and `client_name`.
    """
    return redis.Redis.from_pool(open_pool(broker, **options))
