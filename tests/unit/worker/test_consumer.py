"""What the worker's consumer refuses before Celery acts on it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from caas_tasks.task_message import task_body, task_headers
from worker.consumer import MalformedTaskError, check_frame

EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def test_a_clients_message_passes() -> None:
    """What this service's clients send is taken."""
    check_frame(task_headers("caas.encrypt", "id"), json.loads(task_body("sealed")))


@pytest.mark.parametrize(
    "body",
    [
        42,
        None,
        {"args": [], "kwargs": {}},
        [["sealed"], {}],
        ["sealed", {}, EMBED],
        [["sealed"], [], EMBED],
        [["sealed"], {}, None],
        [["sealed"], {}, {**EMBED, "callbacks": [{"task": "caas.wrap"}]}],
        [["sealed"], {}, {**EMBED, "errbacks": [{"task": "caas.wrap"}]}],
        [["sealed"], {}, {**EMBED, "chain": [{"task": "caas.wrap"}]}],
        [["sealed"], {}, {**EMBED, "chord": {"task": "caas.wrap"}}],
    ],
)
def test_other_bodies_are_refused(body: Any) -> None:
    """A body of another form, or one that asks for more than its one task, is malformed."""
    with pytest.raises(MalformedTaskError):
        check_frame(task_headers("caas.encrypt", "id"), body)


@pytest.mark.parametrize("limits", [[1, None], [None, 1], ["text", "text"]])
def test_time_limits_are_refused(limits: list[Any]) -> None:
    """A message must not set how long a worker's process may live."""
    with pytest.raises(MalformedTaskError):
        check_frame({"timelimit": limits}, [["sealed"], {}, EMBED])
