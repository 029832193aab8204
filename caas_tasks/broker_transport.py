"""kombu's Redis transport, with what this service needs of it changed. Registered as `caasredis`.

Three changes, each of which can go when kombu does it:

- A connection never retries by itself. redis-py would sleep for seconds inside a caller's `send`;
  here the dispatcher resends and Celery's consumer reconnects, both with deadlines of their own.
- One Redis client object a channel, not one an operation, which costs about 100 us each.
- A channel whose connection is gone raises redis' ConnectionError when asked for its parameters. In
  kombu 5.7.0 it is an AttributeError, which ends a celery 5.7.0 worker whose broker restarts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from caas_tasks.redis_url import KOMBU_SCHEME

NO_RETRY: Final = Retry(NoBackoff(), 0)


class Channel(kombu_redis.Channel):
    """A channel with the changes above."""

    _publisher: Any = None

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        connection = self.connection
        if connection is None or connection.client is None:
            raise redis.ConnectionError("The broker connection is closed.")
        parameters: dict[str, Any] = super()._connparams(asynchronous=asynchronous)
        return {**parameters, "retry": NO_RETRY}

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """The given client, or the one of this channel."""
        if client is not None:
            yield client
            return
        if self._publisher is None or self._publisher.connection_pool is not self.pool:
            self._publisher = self._create_client()
        yield self._publisher


class Transport(kombu_redis.Transport):
    """The transport with that channel."""

    Channel = Channel


TRANSPORT_ALIASES[KOMBU_SCHEME] = f"{__name__}:{Transport.__name__}"
