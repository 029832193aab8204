"""arq: its worker and its callers poll Redis; the delay is set as short as helps."""

from __future__ import annotations

import os
from typing import Any

from arq.connections import RedisSettings

from benchmarks import work

POLL_S = float(os.environ.get("BENCH_ARQ_POLL_S", "0.001"))
SETTINGS = RedisSettings.from_dsn(os.environ["BENCH_REDIS"])


async def digest(_ctx: dict[str, Any], user_uuid: str, data: str) -> str:
    return work.digest(user_uuid, data)


class WorkerSettings:
    """What `arq` reads."""

    functions = (digest,)
    redis_settings = SETTINGS
    poll_delay = POLL_S
    max_jobs = int(os.environ.get("BENCH_ARQ_JOBS", "100"))
    keep_result = 60
