"""The reply backend: sealed replies where their clients wait, and nothing else in Redis."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest
import redis
from celery import states

from caas_tasks.celery_app import create_app
from caas_tasks.job_ledger import LedgerEntry
from caas_tasks.reply_backend import ReplyBackend

URL = "redis://:canary-pass@localhost:6399/2"
INBOX = "0123456789abcdef" * 2
TASK_ID = "6f1d7c1e-8f0e-4c55-9d55-1f2f3a4b5c6d"


@pytest.fixture
def server() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


@pytest.fixture
def backend(server: fakeredis.FakeRedis) -> ReplyBackend:
    backend = create_app(URL).backend
    assert isinstance(backend, ReplyBackend)
    backend.__dict__["_redis"] = server
    return backend


def store(
    backend: ReplyBackend, result: Any, state: str = states.SUCCESS, inbox: Any = INBOX
) -> Any:
    return backend.store_result(TASK_ID, result, state, request=SimpleNamespace(reply_to=inbox))


def test_reply_is_pushed_to_its_inbox(backend: ReplyBackend, server: fakeredis.FakeRedis) -> None:
    """A sealed reply is pushed with its message's id, and the list outlives a short absence."""
    assert store(backend, "c2VhbGVk") == "c2VhbGVk"
    assert server.lrange(f"caas:reply:{INBOX}", 0, -1) == [f"{TASK_ID}:c2VhbGVk".encode()]
    assert server.ttl(f"caas:reply:{INBOX}") == 60
    assert server.keys() == [f"caas:reply:{INBOX}".encode()]


def test_replies_queue_in_order(backend: ReplyBackend, server: fakeredis.FakeRedis) -> None:
    """Replies wait in the order they were made."""
    store(backend, "a")
    store(backend, "b")
    assert [raw[-1:] for raw in server.lrange(f"caas:reply:{INBOX}", 0, -1)] == [b"a", b"b"]


@pytest.mark.parametrize(
    "inbox", ["x", INBOX[:-1], INBOX + "0", INBOX.upper(), INBOX + "\n", "../" + INBOX]
)
def test_odd_inbox_gets_nothing(
    backend: ReplyBackend, server: fakeredis.FakeRedis, inbox: str
) -> None:
    """An inbox is 32 hex characters: the broker can't make a worker write another key."""
    store(backend, "c2VhbGVk", inbox=inbox)
    assert server.keys() == []


@pytest.mark.parametrize(
    ("result", "state"),
    [
        ("c2VhbGVk", states.FAILURE),
        (ValueError("canary"), states.FAILURE),
        ({"a": 1}, states.SUCCESS),
    ],
)
def test_only_sealed_text_is_pushed(
    backend: ReplyBackend, server: fakeredis.FakeRedis, result: Any, state: str
) -> None:
    """A failure or a result that is no text is not delivered: it can't be a sealed reply."""
    store(backend, result, state)
    assert server.keys() == []


@pytest.mark.parametrize("request_", [None, SimpleNamespace(reply_to=None), SimpleNamespace()])
def test_without_inbox_the_result_is_kept(
    backend: ReplyBackend, server: fakeredis.FakeRedis, request_: Any
) -> None:
    """A job of the ledger keeps its sealed result for a day, where Celery finds it."""
    backend.ledger.enter([LedgerEntry(TASK_ID, "caas.encrypt", "c2VhbGVk")])
    backend.store_result(TASK_ID, "c2VhbGVk", states.SUCCESS, request=request_)
    raw = server.get(f"caas:result:{TASK_ID}")
    assert isinstance(raw, bytes)
    assert json.loads(raw) == {"status": "SUCCESS", "result": "c2VhbGVk", "task_id": TASK_ID}
    assert server.ttl(f"caas:result:{TASK_ID}") == 86_400
    assert backend.get_result(TASK_ID) == "c2VhbGVk"


@pytest.mark.parametrize(
    ("result", "state"), [("canary", states.FAILURE), (["canary"], states.SUCCESS)]
)
def test_only_sealed_text_is_kept(
    backend: ReplyBackend, server: fakeredis.FakeRedis, result: Any, state: str
) -> None:
    """Of a failure nothing is kept: not what it says, and the job stays in the ledger."""
    backend.ledger.enter([LedgerEntry(TASK_ID, "caas.encrypt", "c2VhbGVk")])
    backend.store_result(TASK_ID, result, state)
    assert server.get(f"caas:result:{TASK_ID}") is None
    assert backend.ledger.count_open([TASK_ID]) == 1


def test_without_inbox_or_ledger_nothing_is_kept(
    backend: ReplyBackend, server: fakeredis.FakeRedis
) -> None:
    """Nobody waits for the result of a task that is neither a call nor a job."""
    store(backend, "c2VhbGVk", inbox=None)
    assert server.keys() == []


def test_unknown_result_is_pending(backend: ReplyBackend) -> None:
    """What is not there has not been answered yet."""
    assert backend.get_state(TASK_ID) == states.PENDING
    assert backend.get_result(TASK_ID) is None


def test_forgotten_result_is_gone(backend: ReplyBackend, server: fakeredis.FakeRedis) -> None:
    """Forgetting deletes the result."""
    backend.store_result(TASK_ID, "c2VhbGVk", states.SUCCESS)
    backend.forget(TASK_ID)
    assert server.keys() == []


@pytest.mark.parametrize("inbox", [INBOX, None])
def test_unreachable_redis_drops_the_reply(
    backend: ReplyBackend,
    inbox: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A worker goes on when Redis is gone; the log has the id and the kind of error alone."""
    gone = fakeredis.FakeServer()
    gone.connected = False
    backend.__dict__["_redis"] = fakeredis.FakeRedis(server=gone)
    with caplog.at_level(logging.DEBUG):
        assert store(backend, "c2VhbGVk", inbox=inbox) == "c2VhbGVk"
    (record,) = caplog.records
    assert record.getMessage() == f"reply {TASK_ID} was not delivered: ConnectionError"
    assert record.levelno == logging.WARNING
    assert record.exc_info is None


@pytest.mark.parametrize(
    "task_id", ["canary", TASK_ID + "\n", TASK_ID.upper(), "\x1b[2J" + TASK_ID]
)
def test_odd_id_stays_out_of_the_log(
    backend: ReplyBackend, caplog: pytest.LogCaptureFixture, task_id: str
) -> None:
    """Whoever reaches the broker chooses ids, and must not choose what the log says."""
    gone = fakeredis.FakeServer()
    gone.connected = False
    backend.__dict__["_redis"] = fakeredis.FakeRedis(server=gone)
    with caplog.at_level(logging.DEBUG):
        backend.deliver(INBOX, task_id, "c2VhbGVk", states.SUCCESS)
    (record,) = caplog.records
    assert record.getMessage() == "reply of an odd id was not delivered: ConnectionError"


def test_address_without_password(backend: ReplyBackend) -> None:
    """Banners show the address without its password, even when asked for it."""
    assert backend.as_uri() == backend.as_uri(include_password=True) == "redis://localhost:6399"


def test_connection_is_bounded() -> None:
    """The client is made at the first use, with a bound on every wait."""
    client = create_app(URL).backend._redis
    assert isinstance(client, redis.Redis)
    options = client.connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["db"]) == (5, 2)
