"""The Celery app: settings that keep plaintext out and messages cheap."""

from __future__ import annotations

import pytest

from caas_tasks.celery_app import SealedAMQP, create_app
from caas_tasks.errors import ConfigurationError

URL = "redis+socket:///nowhere/v.sock?virtual_host=1"
MARKER = "canary-52aa"

SETTINGS = {
    "broker_url": "caas" + URL,
    "broker_use_ssl": None,
    "result_backend": "caas_tasks.reply_backend:ReplyBackend",
    "task_default_queue": "caas.fast",
    "task_default_exchange": "",
    "task_default_routing_key": "caas.fast",
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "result_extended": False,
    "resultrepr_maxsize": 0,
    "task_send_sent_event": False,
    "worker_send_task_events": False,
    "task_store_errors_even_if_ignored": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_disable_rate_limits": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
}


@pytest.mark.parametrize(("name", "value"), SETTINGS.items())
def test_setting(name: str, value: object) -> None:
    """Each setting that keeps plaintext out or a worker alive has its value."""
    assert create_app(URL).conf[name] == value


def test_transport_options() -> None:
    """One list a queue, no acknowledgement state on the fast lane, bounded waits."""
    options = create_app(URL).conf.broker_transport_options
    assert options["priority_steps"] == [0]
    assert options["ack_emulation"] is False
    assert options["socket_timeout"] == 10
    assert options["socket_connect_timeout"] == 3


def test_apps_share_no_options() -> None:
    """Changing one app's options leaves the next one's alone."""
    create_app(URL).conf.broker_transport_options["socket_timeout"] = 1
    assert create_app(URL).conf.broker_transport_options["socket_timeout"] == 10


def test_queues() -> None:
    """Each lane is a queue on the default exchange, routed by its own name."""
    queues = create_app(URL).conf.task_queues
    assert [(q.name, q.exchange.name, q.routing_key) for q in queues] == [
        (name, "", name) for name in ("caas.fast", "caas.password", "caas.bulk")
    ]


@pytest.mark.parametrize("extra", [{}, {"argsrepr": MARKER}, {"kwargsrepr": MARKER}])
def test_headers_show_no_arguments(extra: dict[str, str]) -> None:
    """Whoever sends a task by Celery's own means gets headers without its arguments."""
    app = create_app(URL)
    assert isinstance(app.amqp, SealedAMQP)
    message = app.amqp.as_task_v2(
        "id", "caas.encrypt", args=(MARKER,), kwargs={"a": MARKER}, **extra
    )
    assert message.headers["argsrepr"] == message.headers["kwargsrepr"] == "<sealed>"
    assert MARKER not in repr(message.headers)


def test_several_brokers_are_refused() -> None:
    """An app has one broker."""
    with pytest.raises(ConfigurationError, match="names several brokers"):
        create_app(f"{URL}, redis://127.0.0.1")


def test_wrong_url_is_refused() -> None:
    """Another broker's URL is refused before anything is made."""
    with pytest.raises(ConfigurationError):
        create_app("amqp://host")
