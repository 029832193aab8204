"""A worker outlives its broker's restart.

When Redis drops the connection while a message is unacknowledged, a celery 5.7.0 worker closes it,
and what kombu 5.7.0 then does with the message asks the channel for the parameters of a connection
that is None: an AttributeError, which Celery doesn't take for a lost connection, so the worker
ends. Here it is redis' ConnectionError, and the worker connects again.

It needs kombu's acknowledgement state, which this service switches off (`TRANSPORT_OPTIONS` in
`caas_tasks.celery_app`): this is for whoever switches it on, and for other ways to the same place.
It can go when `test_a_busy_worker_survives_a_broker_restart` of the passwords passes without it.
"""

from __future__ import annotations

from typing import Any

import redis
from kombu.transport import redis as kombu_redis


class Channel(kombu_redis.Channel):
    """kombu's channel, with an error that Celery knows when its connection is gone."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        connection = self.connection
        if connection is None or connection.client is None:
            raise redis.ConnectionError("The broker connection is closed.")
        parameters: dict[str, Any] = super()._connparams(asynchronous=asynchronous)
        return parameters
