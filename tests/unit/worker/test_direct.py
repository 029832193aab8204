"""Which messages go the direct way, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import signals
from celery.concurrency import solo
from celery.worker import state

from caas_tasks.names import Lane
from worker.direct import DirectWay

HEADERS = {"task": "caas.encrypt", "id": "an-id", "eta": None, "expires": None}
INBOX = "0" * 32


class Scene:
    """A consumer, its backend and a service that record what they are asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, object]] = []
        self.delivered: list[tuple[str, str, str, str]] = []
        self.acknowledged = 0
        self.consumer: Any = SimpleNamespace(
            pool=solo.TaskPool.__new__(solo.TaskPool),
            event_dispatcher=SimpleNamespace(enabled=True, groups={"worker"}),
            on_task_message=set(),
            connection_errors=(),
            app=SimpleNamespace(
                backend=SimpleNamespace(deliver=lambda *call: self.delivered.append(call))
            ),
        )

    def answer(self, operation: Any, message_id: str, sealed: object) -> str:
        self.asked.append((operation.value, message_id, sealed))
        return "reply"

    def message(self, **changes: Any) -> Any:
        message = {
            "headers": HEADERS,
            "properties": {"reply_to": INBOX},
            "delivery_info": {"routing_key": Lane.FAST.value},
            "payload": [["sealed"], {}, {}],
            **changes,
        }
        return SimpleNamespace(**message, ack_log_error=self._acknowledge)

    def _acknowledge(self, *_args: Any) -> None:
        self.acknowledged += 1

    def take(self, message: Any) -> bool:
        runtime: Any = SimpleNamespace(service=self)
        return DirectWay(self.consumer, runtime).take(message)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture(autouse=True)
def _revoked() -> Iterator[None]:
    yield
    state.revoked.clear()


def test_a_call_is_answered(scene: Scene) -> None:
    """The message is acknowledged, the service asked, its reply put in the inbox."""
    assert scene.take(scene.message())
    assert scene.asked == [("encrypt", "an-id", "sealed")]
    assert scene.delivered == [(INBOX, "an-id", "reply", "SUCCESS")]
    assert scene.acknowledged == 1


def test_a_call_is_counted(scene: Scene) -> None:
    """`celery inspect stats` shows the tasks that went this way."""
    before = (state.total_count["caas.encrypt"], state.all_total_count[0])
    scene.take(scene.message())
    after = (state.total_count["caas.encrypt"], state.all_total_count[0])
    assert after == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize("args", [[], ["one", "two"]])
def test_other_arguments_reach_the_service_as_none(scene: Scene, args: list[str]) -> None:
    """What is not one argument is answered like any message that can't be opened."""
    scene.take(scene.message(payload=[args, {}, {}]))
    assert scene.asked == [("encrypt", "an-id", None)]


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {**HEADERS, "task": "celery.ping"}},
        {"headers": {**HEADERS, "task": None}},
        {"headers": {**HEADERS, "id": 7}},
        {"headers": {**HEADERS, "eta": "2030-01-01T00:00:00"}},
        {"headers": {**HEADERS, "expires": "2030-01-01T00:00:00"}},
        {"properties": {}},
        {"properties": {"reply_to": ""}},
        {"delivery_info": {"routing_key": Lane.BULK.value}},
        {"delivery_info": {"routing_key": Lane.PASSWORD.value}},
        {"delivery_info": {}},
    ],
)
def test_other_messages_are_left_to_celery(scene: Scene, changes: dict[str, Any]) -> None:
    """Other tasks, other lanes, other times and what names no inbox take Celery's own way."""
    assert not scene.take(scene.message(**changes))
    assert (scene.asked, scene.acknowledged) == ([], 0)


def test_revoked_messages_are_left_to_celery(scene: Scene) -> None:
    """`celery control revoke` goes on working."""
    state.revoked.add("an-id")
    assert not scene.take(scene.message())


def test_events_take_celerys_way(scene: Scene) -> None:
    """Flower sees each task once it has asked for events of tasks."""
    scene.consumer.event_dispatcher.groups.add("task")
    assert not scene.take(scene.message())


def test_events_of_every_group_take_celerys_way(scene: Scene) -> None:
    """Without groups a dispatcher sends all events, as with `celery worker -E`."""
    scene.consumer.event_dispatcher.groups = set()
    assert not scene.take(scene.message())


@pytest.mark.parametrize("dispatcher", [None, SimpleNamespace(enabled=False, groups=set())])
def test_no_events_at_all_leave_the_direct_way(scene: Scene, dispatcher: Any) -> None:
    """A worker without an event dispatcher has nobody watching."""
    scene.consumer.event_dispatcher = dispatcher
    assert scene.take(scene.message())


def test_signals_take_celerys_way(scene: Scene) -> None:
    """Whoever listens to a task's signals hears of each."""

    def listener(**_kwargs: Any) -> None:
        pass

    signals.task_prerun.connect(listener)
    try:
        assert not scene.take(scene.message())
    finally:
        signals.task_prerun.disconnect(listener)


def test_message_callbacks_take_celerys_way(scene: Scene) -> None:
    """So does whatever else wants to see each message."""
    scene.consumer.on_task_message.add(print)
    assert not scene.take(scene.message())


def test_other_pools_take_celerys_way(scene: Scene) -> None:
    """Processes and threads have their tasks handed over by Celery."""
    scene.consumer.pool = object()
    assert not scene.take(scene.message())
