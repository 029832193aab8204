"""Publishing of a sealed request as a Celery task message, through kombu."""

from __future__ import annotations

from typing import Any

from caas_tasks.names import Lane
from caas_tasks.task_message import (
    CONTENT_ENCODING,
    CONTENT_TYPE,
    task_body,
    task_headers,
    task_properties,
)


def publish(
    channel: Any, lane: Lane, task_name: str, message_id: str, sealed: str, reply_to: str = ""
) -> None:
    """Put a message on a lane.

    Args:
        channel: an open kombu channel; one thread at a time.
        reply_to: the inbox that the reply goes to; without one it is kept under the message id.

    Raises:
        Exception: one of the transport's connection or channel errors.
    """
    message = channel.prepare_message(
        task_body(sealed),
        content_type=CONTENT_TYPE,
        content_encoding=CONTENT_ENCODING,
        headers=task_headers(task_name, message_id),
        properties=task_properties(message_id, reply_to),
    )
    # The default exchange: the routing key is the queue, and no binding is looked up.
    channel.basic_publish(message, exchange="", routing_key=lane.value)
