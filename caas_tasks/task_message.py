"""Celery task messages, protocol 2, with nothing in them but the sealed string.

Celery fills `argsrepr`, `kwargsrepr` and `origin` with a task's arguments and the sender's host;
workers copy them to events and logs. Here they are constants. They must not be empty: Celery falls
back to the real arguments then.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic_core import to_json

OPAQUE: Final = "<sealed>"
CONTENT_TYPE: Final = "application/json"
CONTENT_ENCODING: Final = "utf-8"
_ORIGIN: Final = "caas-client"
_EMBED: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_BODY_END: Final = "], {}, " + json.dumps(_EMBED) + "]"


def task_body(sealed: str) -> str:
    """The message body: one positional argument, no keyword arguments, no callbacks."""
    return "[[" + to_json(sealed).decode() + _BODY_END


def task_headers(task_name: str, message_id: str) -> dict[str, Any]:
    """The headers of Celery's task message protocol, version 2."""
    return {
        "lang": "py",
        "task": task_name,
        "id": message_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": message_id,
        "parent_id": None,
        "argsrepr": OPAQUE,
        "kwargsrepr": OPAQUE,
        "origin": _ORIGIN,
        "ignore_result": False,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }


def task_properties(message_id: str, reply_to: str) -> dict[str, Any]:
    """The message properties: `reply_to` names the inbox that the reply is put in."""
    return {"correlation_id": message_id, "reply_to": reply_to, "delivery_mode": 2}
