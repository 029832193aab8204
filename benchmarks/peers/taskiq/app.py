"""taskiq: list queue and result backend of taskiq-redis; results are polled for."""

from __future__ import annotations

import os

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from benchmarks import work

URL = os.environ["BENCH_REDIS"]
POLL_S = float(os.environ.get("BENCH_TASKIQ_POLL_S", "0.001"))


def new_broker() -> ListQueueBroker:
    backend = RedisAsyncResultBackend(URL, keep_results=False, result_ex_time=60)
    return ListQueueBroker(URL).with_result_backend(backend)


broker = new_broker()


@broker.task(task_name="digest")
async def digest(user_uuid: str, data: str) -> str:
    return work.digest(user_uuid, data)
