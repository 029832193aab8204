"""What Celery's remote control shows of a message under way: nothing of its content."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from rig.canary import Markers, search
from rig.hold import HOLD, Hold
from rig.load import Load
from rig.process import DEADLINE_S, PROJECT, environment
from rig.stack import Stack

pytestmark = pytest.mark.integration


def inspect(stack: Stack, *command: str) -> bytes:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "celery", "-A", "worker"),
            *("inspect", "--timeout=30", "-d", "w1@rig", *command),
        ],
        capture_output=True,
        env=environment(stack.env),
        cwd=PROJECT,
        timeout=DEADLINE_S,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_inspect_shows_nothing_of_a_message_under_way(
    new_stack: Callable[..., Stack], hold: Hold, pool: str
) -> None:
    """`active`, `reserved` and `query_task`, asked in the midst of an operation, hold no marker."""
    stack = new_stack()
    worker = stack.start_worker(
        *("-E", "--loglevel=DEBUG"),
        pool=pool,
        plugins=["rig.plugins.hold"],
        env=hold.env,
    )
    markers = Markers()
    client = stack.client(timeout_s=DEADLINE_S)

    def call(user_uuid: str, data: str) -> str:
        return client.encrypt(user_uuid, data).encrypted_data

    load = Load([(markers.user_uuid, HOLD + markers.data)], call, 1)
    load.start()
    hold.wait_until_begun()
    evidence = {"active": inspect(stack, "active"), "reserved": inspect(stack, "reserved")}
    task_id = evidence["active"].decode().partition("'id': '")[2].partition("'")[0]
    evidence["query_task"] = inspect(stack, "query_task", task_id)
    hold.release()
    load.outcomes()
    worker.stop()
    evidence["log"] = worker.log.encode()
    found = search(evidence, markers.needles(stack.keystore.api_key))
    is_shown = [task_id.encode() in evidence[name] for name in ("active", "query_task", "log")]
    assert (found, len(task_id), is_shown) == (set(), 36, [True, True, True])
