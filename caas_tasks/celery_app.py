"""The Celery app factory: the settings that keep plaintext out and messages cheap.

Making an app connects to nothing. Each setting that differs from Celery's default says why.
"""

from __future__ import annotations

from typing import Any, Final

from celery import Celery
from celery.app.amqp import AMQP
from kombu import Exchange, Queue

from caas_tasks import broker_transport
from caas_tasks.errors import ConfigurationError
from caas_tasks.names import Lane
from caas_tasks.redis_url import BrokerUrl
from caas_tasks.settings import read_brokers
from caas_tasks.task_message import OPAQUE

TRANSPORT_OPTIONS: Final[dict[str, Any]] = {
    # One Redis list a queue, not four: nothing here uses priorities.
    "priority_steps": [0],
    # The fast lane is at most once on the broker and the client resends: no acknowledgement state.
    "ack_emulation": False,
    "socket_connect_timeout": 3,
    "socket_timeout": 10,
    "socket_keepalive": True,
    "health_check_interval": 5,
}


class SealedAMQP(AMQP):
    """Keeps arguments out of the message headers of anyone who uses `send_task` or `delay`."""

    Connection = broker_transport.Connection

    def as_task_v2(self, *args: Any, **kwargs: Any) -> Any:
        """A task message of protocol 2 with a constant for its arguments' representations."""
        kwargs["argsrepr"] = kwargs["kwargsrepr"] = OPAQUE
        return super().as_task_v2(*args, **kwargs)


class ServiceApp(Celery):
    """A Celery app that knows its broker.

    Attributes:
        broker: also where the replies go.
    """

    broker: BrokerUrl


def create_app(broker: BrokerUrl | str) -> Celery:
    """A Celery app for this service.

    Args:
        broker: its one broker; a text is read and secured as the environment says.

    Raises:
        ConfigurationError: the text is no broker's address, or names several.
    """
    if isinstance(broker, str):
        brokers = read_brokers(broker)
        if len(brokers) > 1:
            raise ConfigurationError("CAAS_BROKER_URL: names several brokers, and one is wanted.")
        broker = brokers[0]
    app = ServiceApp("caas", amqp=SealedAMQP, set_as_current=False, autofinalize=True)
    app.broker = broker
    app.conf.update(
        broker_url=broker.kombu,
        broker_use_ssl=broker.ssl,
        # The backend takes the broker from the app; in the configuration it would be another copy.
        result_backend="caas_tasks.reply_backend:ReplyBackend",
        task_queues=[_queue(lane) for lane in Lane],
        task_default_queue=Lane.FAST.value,
        task_default_exchange="",
        task_default_routing_key=Lane.FAST.value,
        task_create_missing_queues=True,
        # JSON alone: a pickle from the broker would be code.
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        # Nothing about a request but its id and name in results, events and logs.
        result_extended=False,
        resultrepr_maxsize=0,
        task_send_sent_event=False,
        worker_send_task_events=False,
        task_store_errors_even_if_ignored=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # A token bucket a task type costs a lookup a message; limits are the policy's business.
        worker_disable_rate_limits=True,
        worker_enable_remote_control=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={**TRANSPORT_OPTIONS, **broker.transport_options},
        broker_pool_limit=2,
        enable_utc=True,
    )
    return app


def _queue(lane: Lane) -> Queue:
    # The default exchange: routing needs no look-up of bindings in Redis on every publish.
    return Queue(lane.value, Exchange(""), routing_key=lane.value)
