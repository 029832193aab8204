"""Plain Celery: Redis as broker and as result backend."""

from __future__ import annotations

import os

from celery import Celery

from benchmarks import work

URL = os.environ["BENCH_KOMBU"]
app = Celery("plain", broker=URL, backend=URL)
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    worker_disable_rate_limits=True,
    worker_hijack_root_logger=False,
    # No limit, so that callers never wait for a connection.
    broker_pool_limit=None if os.environ.get("BENCH_NO_POOL") else 600,
    redis_max_connections=None,
    broker_transport_options={"priority_steps": [0]},
)


@app.task(name="digest")
def digest(user_uuid: str, data: str) -> str:
    return work.digest(user_uuid, data)
