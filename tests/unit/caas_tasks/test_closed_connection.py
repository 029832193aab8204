"""A channel whose connection is gone says so by an error that Celery's consumer knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import redis

from caas_tasks import broker_transport, closed_connection


@pytest.mark.parametrize("connection", [None, SimpleNamespace(client=None)])
def test_closed_connection_is_a_connection_error(connection: Any) -> None:
    """A worker survives a closed connection only when the error is one that kombu knows."""
    channel = broker_transport.Channel.__new__(broker_transport.Channel)
    channel.connection = connection
    with pytest.raises(redis.ConnectionError) as caught:
        channel._connparams()
    assert caught.type in broker_transport.Transport.connection_errors
    assert str(caught.value) == "The broker connection is closed."


def test_every_channel_has_it() -> None:
    """Through Sentinel as without."""
    for transport in (broker_transport.Transport, broker_transport.SentinelTransport):
        assert issubclass(transport.Channel, closed_connection.Channel)
