"""huey: Redis storage that notifies of results, so that nobody polls."""

from __future__ import annotations

import os

from huey import RedisHuey

from benchmarks import work

huey = RedisHuey("bench", url=os.environ["BENCH_REDIS"], notify_result=True, utc=True)


@huey.task()
def digest(user_uuid: str, data: str) -> str:
    return work.digest(user_uuid, data)
