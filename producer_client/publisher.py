"""Publishing through kombu with one connection, opened when needed and dropped when it fails."""

from __future__ import annotations

from typing import Any, Final

from kombu import Connection

from caas_tasks.broker_fault import unavailable
from caas_tasks.celery_app import TRANSPORT_OPTIONS
from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.publishing import publish
from caas_tasks.redis_url import BrokerUrl
from producer_client.transport import MAX_SEND_S, OutgoingMessage

SOCKET_TIMEOUT_S: Final = MAX_SEND_S / 2
"""How long connecting, or one exchange, may take before the connection counts as lost."""


class Publisher:
    """Sends messages, one thread at a time. Connects when first used."""

    def __init__(self, url: BrokerUrl) -> None:
        self._url = url
        self._broker = self._connection()
        self._errors = (*self._broker.connection_errors, *self._broker.channel_errors, OSError)
        self._channel: Any = None

    def send(self, message: OutgoingMessage, reply_to: str = "") -> None:
        """Publish a Celery task message on the message's lane.

        Raises:
            ServiceUnavailableError: the broker can't be reached.
        """
        failure: ServiceUnavailableError
        try:
            publish(
                self._open_channel(),
                message.lane,
                message.operation.task_name,
                message.message_id,
                message.sealed,
                reply_to,
            )
        except self._errors as error:
            failure = unavailable(error)
        else:
            return
        self.close()
        raise failure

    def close(self) -> None:
        """Drop the connection; the next message opens another."""
        self._channel = None
        self._broker.release()
        self._broker = self._connection()

    def _connection(self) -> Any:
        options = {
            **TRANSPORT_OPTIONS,
            **self._url.transport_options,
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
        }
        return Connection(self._url.kombu, ssl=self._url.ssl or False, transport_options=options)

    def _open_channel(self) -> Any:
        if self._channel is None:
            # Without this, kombu sleeps for two seconds between two tries.
            self._broker.ensure_connection(
                max_retries=1, interval_start=0, interval_step=0, reraise_as_library_errors=False
            )
            self._channel = self._broker.channel()
        return self._channel
