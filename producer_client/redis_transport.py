"""The transport over Celery and Redis: messages by kombu, replies from the client's own list.

Messages are ordinary Celery protocol 2 tasks, published by kombu. Replies come in on one
connection, many in one round trip (BLMPOP, Redis 7 or Valkey); `caas_tasks.reply_backend` has the
keys.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

import redis
from kombu import Connection

from caas_tasks.broker_transport import NO_RETRY
from caas_tasks.celery_app import TRANSPORT_OPTIONS
from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.redis_url import parse_broker_url
from caas_tasks.reply_backend import ID_SEPARATOR, INBOX_PREFIX
from caas_tasks.task_message import (
    CONTENT_ENCODING,
    CONTENT_TYPE,
    task_body,
    task_headers,
    task_properties,
)
from producer_client.transport import MAX_SEND_S, IncomingReply, OutgoingMessage

SOCKET_TIMEOUT_S: Final = MAX_SEND_S / 2
"""How long connecting, or one exchange, may take before the connection counts as lost."""

MAX_REPLIES: Final = 256
"""Replies taken in one round trip."""


class RedisTransport:
    """Sends to and receives from a Redis or Valkey broker. Connects when first used."""

    def __init__(self, broker_url: str) -> None:
        self._url = parse_broker_url(broker_url)
        self._start()

    def _start(self) -> None:
        self._inbox = uuid.uuid4().hex
        self._broker = self._connection()
        self._errors = (*self._broker.connection_errors, *self._broker.channel_errors, OSError)
        self._channel: Any = None
        self._replies: Any = None

    def _connection(self) -> Any:
        options = {
            **TRANSPORT_OPTIONS,
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
        }
        return Connection(self._url.kombu, ssl=self._url.tls or False, transport_options=options)

    def send(self, message: OutgoingMessage) -> None:
        """Publish a Celery task message on the lane."""
        try:
            if self._channel is None:
                # Without this, kombu sleeps for two seconds between two tries.
                self._broker.ensure_connection(
                    max_retries=1,
                    interval_start=0,
                    interval_step=0,
                    reraise_as_library_errors=False,
                )
                self._channel = self._broker.channel()
            prepared = self._channel.prepare_message(
                task_body(message.sealed),
                content_type=CONTENT_TYPE,
                content_encoding=CONTENT_ENCODING,
                headers=task_headers(message.operation.task_name, message.message_id),
                properties=task_properties(message.message_id, self._inbox),
            )
            self._channel.basic_publish(prepared, exchange="", routing_key=message.lane.value)
        except self._errors:
            self._drop_channel()
        else:
            return
        raise ServiceUnavailableError

    def _drop_channel(self) -> None:
        self._channel = None
        self._broker.release()
        self._broker = self._connection()

    def receive(self, timeout_s: float) -> list[IncomingReply]:
        """Take the replies that have come, waiting for the first."""
        reply: Any = None
        try:
            connection = self._reply_connection()
            connection.send_command(
                "BLMPOP", timeout_s, 1, INBOX_PREFIX + self._inbox, "LEFT", "COUNT", MAX_REPLIES
            )
            reply = connection.read_response(timeout=timeout_s + SOCKET_TIMEOUT_S)
        except (redis.RedisError, OSError, AttributeError, ValueError):
            # The last two: `interrupt` took the socket away under the reading thread.
            failed = True
        else:
            failed = False
        if failed:
            self._drop_replies()
            raise ServiceUnavailableError
        return [] if reply is None else [_split(raw) for raw in reply[1]]

    def _reply_connection(self) -> Any:
        if self._replies is None:
            client = redis.Redis.from_url(
                self._url.redis,
                socket_timeout=SOCKET_TIMEOUT_S,
                socket_connect_timeout=SOCKET_TIMEOUT_S,
                retry=NO_RETRY,
                client_name="caas-client",
            )
            self._replies = client.connection_pool.get_connection()
        return self._replies

    def _drop_replies(self) -> None:
        connection, self._replies = self._replies, None
        if connection is not None:
            connection.disconnect()

    def interrupt(self) -> None:
        """Close the reply connection under the reading thread."""
        connection = self._replies
        if connection is not None:
            connection.disconnect()

    def close(self) -> None:
        """Close both connections."""
        self._drop_replies()
        self._drop_channel()

    def reset_after_fork(self) -> None:
        """Take a new inbox and new connections; redis-py leaves those of another process alone."""
        self._start()


def _split(raw: bytes) -> IncomingReply:
    message_id, _, sealed = raw.decode("ascii", errors="replace").partition(ID_SEPARATOR)
    return IncomingReply(message_id, sealed)
