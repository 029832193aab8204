"""kombu's Redis transport, with what this service needs of it changed.

Registered as `caasredis`, and as `caassentinel` for a primary that sentinels name. The changes,
each of which can go when kombu does it:

- A connection never retries by itself. redis-py would sleep for seconds inside a caller's `send`;
  here the dispatcher resends and Celery's consumer reconnects, both with deadlines of their own.
- One Redis client object a channel, not one an operation, which costs about 100 us each.
- A channel whose connection is gone says so by an error that Celery knows; see
  `caas_tasks.closed_connection`.
- What stands in a queue and is no message is passed over. In kombu it is a ValueError, TypeError or
  the like that ends the worker: anyone who reaches the broker could stop the fleet.
- A message is published without waiting for the answer to it; see `caas_tasks.pipelining`. Its body
  is not wrapped in base64 once more, and what waits on a lane is plain JSON, for a faster parser.
- A connection tries again within a second for as long as the broker is away; see `Connection`.
- Over TLS no authority is trusted beside the given ones, and with Sentinel the sentinels are asked
  over TLS too; see `caas_tasks.redis_connection`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty
from typing import Any, Final

import kombu
import redis
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from kombu.utils.json import dumps, loads
from pydantic_core import from_json, to_json
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import SentinelManagedConnection

from caas_tasks import closed_connection
from caas_tasks.names import Lane
from caas_tasks.pipelining import PipelinedConnection
from caas_tasks.redis_connection import (
    NO_INTRODUCTION,
    LocalSentinelConnection,
    SentinelTlsConnection,
    TlsConnection,
    sentinel_pool,
)
from caas_tasks.redis_url import KOMBU_SCHEME, KOMBU_SENTINEL_SCHEME, Address
from caas_tasks.task_message import CONTENT_TYPE

_LANES: Final = frozenset(lane.value for lane in Lane)
NO_RETRY: Final = Retry(NoBackoff(), 0)
logger = logging.getLogger(__name__)


class MalformedMessageError(ValueError):
    """What came is not a message; holds nothing of it."""


class Message(kombu_redis.Channel.Message):
    """A message that is well formed, or MalformedMessageError."""

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        is_whole = False
        try:
            # Nothing of ours is compressed, and a few bytes could become gigabytes.
            if "compression" not in payload["headers"]:
                super().__init__(payload, channel=channel, **kwargs)
                is_whole = isinstance(self.delivery_info, dict)
        except (ValueError, TypeError, LookupError, AttributeError):
            pass
        if not is_whole:
            raise MalformedMessageError

    def _decode(self) -> Any:
        if self.delivery_info.get("routing_key") in _LANES and self.content_type == CONTENT_TYPE:
            with suppress(ValueError):  # it refuses what the standard parser takes: lone surrogates
                return from_json(self.body)
        return super()._decode()


MAX_RECONNECT_S: Final = 1.0
"""Longest wait of a worker between two tries to reach the broker again, in seconds."""

_RECONNECT_STEP_S: Final = 0.4
_FIRST_RECONNECT_S: Final = 0.2


class Connection(kombu.Connection):
    """A connection that is back soon after its broker.

    kombu's wait between two tries grows to 30 s: after a long outage the callers' deadlines would
    pass with the broker and the workers up.
    """

    on_try: Callable[[], None] | None = None
    """Called before each try to connect again."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Connect, trying again until it works, as kombu does but at shorter intervals."""
        given = kwargs.pop("callback", None)

        def before_try() -> None:
            if self.on_try is not None:
                self.on_try()
            if given is not None:
                given()

        kwargs["callback"] = before_try
        intervals = {
            "interval_start": _FIRST_RECONNECT_S,
            "interval_step": _RECONNECT_STEP_S,
            # kombu waits up to the sum of this and the first.
            "interval_max": MAX_RECONNECT_S - _FIRST_RECONNECT_S,
        }
        return super().ensure_connection(*args, **{**intervals, **kwargs})


class Channel(closed_connection.Channel):
    """A channel with the changes above."""

    Message = Message
    connection_class_ssl: type[redis.SSLConnection] = TlsConnection
    # A body of ours is ASCII text as it is: a third of every message was base64 around base64.
    body_encoding = None
    _publisher: Any = None
    _pipeline: PipelinedConnection | None = None

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        if self._pipeline is None:
            self._pipeline = PipelinedConnection(self.pool.get_connection)
        key = self.global_keyprefix + self._q_for_pri(queue, 0)
        # Task messages hold plain JSON values; those of Celery's remote control may hold others.
        text = to_json(message) if queue in _LANES else dumps(message)
        self._pipeline.send(("LPUSH", key, text))

    def close(self) -> None:
        """Close the channel, once all that it sent has arrived."""
        if self._pipeline is not None:
            self._pipeline.close()
        super().close()

    def _brpop_read(self, **options: Any) -> Any:
        # kombu's, but for the parser, which takes a third of the time, and for what is no message.
        try:
            popped = self._popped(options)
            if popped is None:
                raise Empty
            self._give(*popped)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            # The message is off the queue and nothing waits for it. Its text stays out of the log.
            logger.warning("passed over what is no message: %s", type(error).__name__)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        return True

    def _popped(self, options: dict[str, Any]) -> tuple[bytes, bytes] | None:
        connection = self.client.connection
        try:
            popped: tuple[bytes, bytes] | None = self.client.parse_response(
                connection, "BRPOP", **options
            )
        except self.connection_errors:
            connection.disconnect()  # the next round connects again
            raise
        return popped

    def _give(self, key: bytes, text: bytes) -> None:
        queue = key.decode().rsplit(self.sep, 1)[0]
        self._queue_cycle.rotate(queue)
        message: Any = None
        if queue in _LANES:
            with suppress(ValueError):
                message = from_json(text)
        if message is None:
            message = loads(text.decode())
        self.connection._deliver(message, queue)  # noqa: SLF001 - as kombu's own channel does

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        parameters = super()._connparams(asynchronous=asynchronous)
        return {**parameters, "retry": NO_RETRY, **NO_INTRODUCTION}

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


class SentinelChannel(Channel):
    """That channel, to the primary that sentinels name."""

    # kombu sets these attributes from the transport's options.
    from_transport_options = (
        *kombu_redis.Channel.from_transport_options,
        *("sentinels", "master_name", "allows_plaintext"),
    )
    sentinels: Sequence[Address] = ()
    master_name = ""
    allows_plaintext = False
    connection_class_ssl = SentinelTlsConnection

    @property
    def connection_class(self) -> type[SentinelManagedConnection]:
        """What connects without TLS."""
        return SentinelManagedConnection if self.allows_plaintext else LocalSentinelConnection

    def _get_pool(self, asynchronous: bool = False) -> redis.ConnectionPool:
        parameters = self._connparams(asynchronous=asynchronous)
        prefix = getattr(self, "keyprefix_fanout", "")
        self.keyprefix_fanout = prefix.format(db=parameters["db"])
        for name in ("host", "port"):
            parameters.pop(name)
        tls = self.connection.client.ssl or None
        return sentinel_pool(self.sentinels, self.master_name, tls, **parameters)


class SentinelTransport(Transport):
    """The transport with that one."""

    Channel = SentinelChannel


TRANSPORT_ALIASES[KOMBU_SCHEME] = f"{__name__}:{Transport.__name__}"
TRANSPORT_ALIASES[KOMBU_SENTINEL_SCHEME] = f"{__name__}:{SentinelTransport.__name__}"
