"""The Celery tasks: one an operation, a sealed string in and a sealed string out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from caas_tasks.celery_app import create_app
from caas_tasks.encoding import encode_json
from caas_tasks.names import Operation
from worker.priority import StandingBack
from worker.tasks import register

ID = "6f1d7c1e-8f0e-4c55-9d55-1f2f3a4b5c6d"
ITEM = {"userUUID": "4dbcbcfe-4800-40a8-badf-c26b73af230c", "sensitiveData": "canary"}


@pytest.fixture
def app(world: Any) -> Celery:
    app = create_app("redis://127.0.0.1:1")
    register(app, SimpleNamespace(service=world.service, standing_back=StandingBack(0)))  # type: ignore[arg-type]
    return app


def run(app: Celery, operation: Operation, *args: Any, **kwargs: Any) -> Any:
    return app.tasks[operation.task_name].apply(args=args, kwargs=kwargs, task_id=ID).get()


def test_one_task_an_operation(app: Celery) -> None:
    """The app has every operation's task under its name, and no other of this service."""
    names = {name for name in app.tasks if name.startswith("caas.")}
    assert names == {operation.task_name for operation in Operation}


def test_task_answers_under_its_own_id(app: Celery, world: Any) -> None:
    """A task answers the message that was sealed for its name and id."""
    payload = encode_json({"apiKey": world.api_key, "items": [ITEM]})
    reply = run(app, Operation.ENCRYPT, world.seal(Operation.ENCRYPT, payload))
    assert "items" in world.open(Operation.ENCRYPT, reply)


@pytest.mark.parametrize("operation", Operation)
def test_task_asks_for_its_own_operation(app: Celery, world: Any, operation: Operation) -> None:
    """Each task opens its own operation's messages."""
    reply = run(app, operation, world.seal(operation, b"{}"))
    assert world.open(operation, reply)["error"]["code"] == "invalid_request"


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), (("a", "b"), {}), ((), {"sealed": "a"}), ((7,), {}), ((None,), {})],
)
def test_malformed_arguments(app: Celery, args: Any, kwargs: Any) -> None:
    """Arguments of another shape are answered like any message that can't be opened."""
    assert run(app, Operation.ENCRYPT, *args, **kwargs) == "unreadable"


def test_unknown_keyword_arguments_are_ignored(app: Celery, world: Any) -> None:
    """Keyword arguments change nothing: only the sealed string counts."""
    reply = run(app, Operation.ENCRYPT, world.seal(Operation.ENCRYPT, b"{}"), extra="canary")
    assert world.open(Operation.ENCRYPT, reply)["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("operation", [Operation.HASH_PASSWORD, Operation.VERIFY_PASSWORD])
def test_password_by_another_lane_is_not_run(
    app: Celery, world: Any, operation: Operation, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that serves no passwords is not held up by one, whoever sends it."""
    app.amqp.queues.select(["caas.fast", "caas.bulk"])
    assert run(app, operation, world.seal(operation, b"{}")) == "unreadable"
    assert caplog.messages == ["a password operation came by another lane and was not run"]


def test_only_passwords_are_acknowledged_late(app: Celery) -> None:
    """A password worker takes no more messages than it has threads."""
    late = {operation for operation in Operation if app.tasks[operation.task_name].acks_late}
    assert late == {Operation.HASH_PASSWORD, Operation.VERIFY_PASSWORD}
