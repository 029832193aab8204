"""The transport over Celery and Redis: messages by kombu, replies from the client's own list.

Messages are ordinary Celery protocol 2 tasks, published by kombu. Replies come in on one
connection, many in one round trip (BLMPOP, Redis 7 or Valkey); `caas_tasks.reply_backend` has the
keys.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

import redis

from caas_tasks.broker_fault import unavailable
from caas_tasks.broker_transport import NO_RETRY
from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.redis_connection import open_pool
from caas_tasks.redis_url import BrokerUrl
from caas_tasks.reply_backend import ID_SEPARATOR, INBOX_PREFIX
from producer_client.job_store import RedisJobStore
from producer_client.publisher import SOCKET_TIMEOUT_S, Publisher
from producer_client.transport import IncomingReply, JobStore, OutgoingMessage

MAX_REPLIES: Final = 256
"""Replies taken in one round trip."""


class RedisTransport:
    """Sends to and receives from a Redis or Valkey broker. Connects when first used."""

    jobs: JobStore
    _replies: Any

    def __init__(self, broker: BrokerUrl) -> None:
        self._url = broker
        self.reset_after_fork()

    def twin(self) -> RedisTransport:
        """Another to the same broker, with an inbox and connections of its own."""
        return RedisTransport(self._url)

    def send(self, message: OutgoingMessage) -> None:
        """Publish a Celery task message whose reply comes to this client's inbox."""
        self._publisher.send(message, self._inbox)

    def receive(self, timeout_s: float) -> list[IncomingReply]:
        """Take the replies that have come, waiting for the first."""
        reply: Any = None
        failure: ServiceUnavailableError | None = None
        try:
            connection = self._reply_connection()
            connection.send_command(
                "BLMPOP", timeout_s, 1, INBOX_PREFIX + self._inbox, "LEFT", "COUNT", MAX_REPLIES
            )
            reply = connection.read_response(timeout=timeout_s + SOCKET_TIMEOUT_S)
        except (redis.RedisError, OSError, AttributeError, ValueError) as error:
            # The last two: `interrupt` took the socket away under the reading thread.
            failure = unavailable(error)
        if failure is not None:
            self._drop_replies()
            raise failure
        return [] if reply is None else [_split(raw) for raw in reply[1]]

    def _reply_connection(self) -> Any:
        if self._replies is None:
            pool = open_pool(
                self._url,
                socket_timeout=SOCKET_TIMEOUT_S,
                socket_connect_timeout=SOCKET_TIMEOUT_S,
                retry=NO_RETRY,
                client_name="caas-client",
            )
            self._replies = pool.get_connection()
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
        """Close all connections."""
        self._drop_replies()
        self._publisher.close()
        self.jobs.close()

    def reset_after_fork(self) -> None:
        """Take a new inbox and new connections; redis-py leaves another process's alone."""
        self._inbox = uuid.uuid4().hex
        self._replies = None
        self._publisher = Publisher(self._url)
        self.jobs = RedisJobStore(self._url)


def _split(raw: bytes) -> IncomingReply:
    message_id, _, sealed = raw.decode("ascii", errors="replace").partition(ID_SEPARATOR)
    return IncomingReply(message_id, sealed)
