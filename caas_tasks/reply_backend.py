"""The reply backend: a Celery result backend that puts a sealed reply where its client waits.

| Redis key                 | type   | written by | read by | lives                              |
|---------------------------|--------|------------|---------|------------------------------------|
| `caas:reply:<inbox>`      | list   | worker     | client  | `INBOX_TTL_S` after the last reply |
| `caas:result:<task id>`   | string | worker     | client  | `RESULT_TTL_S`                     |

A task that names an inbox in `reply_to` gets its reply pushed there, as `<task id>:<sealed reply>`.
The list keeps it while the client reconnects. A client has an inbox for each lane and takes many
replies in one round trip, with no subscription. A job of the ledger keeps its result under its id,
where `Client.collect` and Celery's `AsyncResult` find it; that strikes the job out. Only sealed
text is ever stored, and of a task that is neither a call nor a job nothing at all.
"""

from __future__ import annotations

import json
import logging
import re
import time
from functools import cached_property
from typing import Any, Final

import redis
from celery import states
from celery.backends.base import BaseBackend
from redis.backoff import NoBackoff
from redis.retry import Retry

from caas_tasks.job_ledger import RESULT_PREFIX, JobLedger
from caas_tasks.pipelining import PipelinedConnection
from caas_tasks.redis_connection import connect
from caas_tasks.redis_url import BrokerUrl

INBOX_PREFIX: Final = "caas:reply:"
INBOX_TTL_S: Final = 60
ID_SEPARATOR: Final = ":"

_INBOX_ID: Final = re.compile(r"[0-9a-f]{32}\Z")
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z")
logger = logging.getLogger(__name__)


class ReplyBackend(BaseBackend):
    """Celery's view of the reply store, which is the broker of the app."""

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self._broker: BrokerUrl = app.broker

    def as_uri(self, include_password: bool = False) -> str:
        """The address for banners, never with a password."""
        return self._broker.display

    @cached_property
    def _redis(self) -> redis.Redis:
        return connect(
            self._broker,
            socket_timeout=5,
            # Once more, at once: an idle connection may have been cut; then the client asks again.
            retry=Retry(NoBackoff(), 1),
            client_name="caas-replies",
        )

    @cached_property
    def _inboxes(self) -> PipelinedConnection:
        return PipelinedConnection(self._redis.connection_pool.get_connection)

    @cached_property
    def ledger(self) -> JobLedger:
        """The ledger of the bulk lane's jobs."""
        return JobLedger(self._redis, time.time)

    def store_result(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: Any = None,
        request: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Deliver a reply. When Redis can't be reached it is dropped: the client asks again."""
        self.deliver(getattr(request, "reply_to", None), task_id, result, state)
        return result

    def deliver(self, inbox: str | None, task_id: str, result: object, state: str) -> None:
        """Push a reply to its inbox, or keep it where there is none."""
        try:
            if inbox:
                self._push(inbox, task_id, result, state)
            else:
                self._keep(task_id, result, state)
        except redis.RedisError as error:
            # The broker chose the id, and with it what would stand in the log.
            shown = task_id if _UUID.match(task_id) else "of an odd id"
            logger.warning("reply %s was not delivered: %s", shown, type(error).__name__)

    def _push(self, inbox: str, task_id: str, result: Any, state: str) -> None:
        if state != states.SUCCESS or not isinstance(result, str) or not _INBOX_ID.match(inbox):
            return
        key = INBOX_PREFIX + inbox
        self._inboxes.send(
            ("RPUSH", key, task_id + ID_SEPARATOR + result), ("EXPIRE", key, INBOX_TTL_S)
        )

    def _keep(self, task_id: str, result: Any, state: str) -> None:
        # Anything else is a failure of Celery's own: the job stays in the ledger and is retried.
        if state != states.SUCCESS or not isinstance(result, str):
            return
        meta = json.dumps({"status": state, "result": result, "task_id": task_id})
        self.ledger.finish(task_id, meta)

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        raw = self._redis.get(RESULT_PREFIX + task_id)
        if not isinstance(raw, bytes):
            return {"status": states.PENDING, "result": None}
        return decode_result(raw)

    def _forget(self, task_id: str) -> None:
        self._redis.delete(RESULT_PREFIX + task_id)


def decode_result(raw: bytes) -> dict[str, Any]:
    """What is stored of a result: `status` and `result`, the sealed reply."""
    meta: dict[str, Any] = json.loads(raw)
    return meta
