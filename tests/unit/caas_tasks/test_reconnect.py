"""How soon a worker tries to reach a broker again that has gone."""

from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError

from caas_tasks.broker_transport import MAX_RECONNECT_S, Connection
from caas_tasks.celery_app import create_app


def test_workers_connect_with_it() -> None:
    """The connection of Celery's consumer is the one that is back soon."""
    app = create_app("redis+socket:///nowhere/broker.sock")
    assert type(app.connection_for_read()) is Connection


def test_wait_between_two_tries_stays_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the broker stays away, the next try comes within `MAX_RECONNECT_S`."""
    waits: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _s: None)
    connection = create_app("redis+socket:///nowhere/broker.sock").connection_for_read()
    with pytest.raises(OperationalError):
        connection.ensure_connection(lambda _error, wait_s: waits.append(wait_s), max_retries=50)
    assert (len(waits), max(waits) <= MAX_RECONNECT_S) == (50, True)
