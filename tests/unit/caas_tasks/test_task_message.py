"""Task messages hold the sealed string once and nothing else about a request."""

from __future__ import annotations

import json

from celery.app.amqp import AMQP
from celery.app.base import Celery

from caas_tasks import task_message

SEALED = "c2VhbGVk"
TASK = "caas.encrypt"
ID = "6f1d7c1e-8f0e-4c55-9d55-1f2f3a4b5c6d"


def test_body_is_what_celery_reads() -> None:
    """The body is one positional argument, no keyword arguments and no callbacks."""
    args, kwargs, embed = json.loads(task_message.task_body(SEALED))
    assert (args, kwargs) == ([SEALED], {})
    assert embed == {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def test_body_escapes() -> None:
    """A string with quotes stays one string."""
    assert json.loads(task_message.task_body('a"],['))[0] == ['a"],[']


def test_headers_are_those_of_celery() -> None:
    """Every header that Celery itself would send is there, the same but for the opaque ones."""
    app = Celery(set_as_current=False)
    theirs = AMQP(app).as_task_v2(ID, TASK, args=(SEALED,), kwargs={}).headers
    ours = task_message.task_headers(TASK, ID)
    opaque = {"argsrepr", "kwargsrepr", "origin"}
    assert theirs.keys() <= ours.keys()
    assert {k: v for k, v in theirs.items() if k not in opaque} == {
        k: ours[k] for k in theirs if k not in opaque
    }


def test_headers_show_nothing() -> None:
    """The representations are a constant that is not empty: Celery would use the arguments then."""
    headers = task_message.task_headers(TASK, ID)
    assert headers["argsrepr"] == headers["kwargsrepr"] == "<sealed>"
    assert headers["origin"] == "caas-client"
    assert (headers["task"], headers["id"], headers["root_id"]) == (TASK, ID, ID)


def test_properties_name_the_inbox() -> None:
    """The reply goes to the inbox under the message's id."""
    assert task_message.task_properties(ID, "inbox") == {
        "correlation_id": ID,
        "reply_to": "inbox",
        "delivery_mode": 2,
    }
