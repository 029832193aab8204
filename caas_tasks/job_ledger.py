"""The ledger of the bulk lane: a job is in it from before it is sent until its result is stored.

kombu's Redis transport takes a message from its queue and notes it as unacknowledged in a later
step; a worker killed in between loses it, with late acknowledgement too. So the bulk lane does not
rest on acknowledgements: the sealed job stays here, under its id, and what is overdue is sent
again. It can go when kombu moves messages atomically.

| Redis key          | type   | holds                                          | lives            |
|--------------------|--------|------------------------------------------------|------------------|
| `caas:jobs`        | zset   | job id -> Unix time at which it is sent again  | until the result |
| `caas:job:<id>`    | hash   | `task`, `sealed`                               | `JOB_TTL_S`      |
| `caas:result:<id>` | string | see `caas_tasks.reply_backend`                 | `RESULT_TTL_S`   |

Operations are pure, so a job that runs twice does no harm, and the ids in the ledger make it rare:
a worker takes a job only while it is here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import redis

from caas_tasks.names import Lane

JOBS_KEY: Final = "caas:jobs"
JOB_PREFIX: Final = "caas:job:"
RESULT_PREFIX: Final = "caas:result:"
RESULT_TTL_S: Final = 24 * 60 * 60
JOB_TTL_S: Final = RESULT_TTL_S

RESEND_AFTER_S: Final = 5.0
"""How long after it was sent a job that no worker has begun is sent again."""

LEASE_S: Final = 15.0
"""How long a worker has for a message that it has begun, before it is sent again; some milliseconds
are enough, and one that takes longer only runs twice."""

SWEEP_JOBS: Final = 500
"""Overdue jobs looked at in one sweep."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A sealed job on its way."""

    job_id: str
    task_name: str
    sealed: str = field(repr=False)


class JobLedger:
    """The ledger in Redis.

    Args:
        client: a thread-safe redis-py client.
        now_s: Unix time in seconds.

    Raises:
        redis.RedisError: from every method, when Redis can't be reached.
    """

    def __init__(self, client: redis.Redis, now_s: Callable[[], float]) -> None:
        self._redis: Any = client  # redis-py's types cover sync and async at once
        self._now_s = now_s

    def enter(self, entries: Sequence[LedgerEntry]) -> None:
        """Write jobs down, all or none; they may be sent from then on."""
        pipe = self._redis.pipeline(transaction=True)
        for entry in entries:
            key = JOB_PREFIX + entry.job_id
            pipe.hset(key, mapping={"task": entry.task_name, "sealed": entry.sealed})
            pipe.expire(key, JOB_TTL_S)
        due = self._now_s() + RESEND_AFTER_S
        pipe.zadd(JOBS_KEY, {entry.job_id: due for entry in entries})
        pipe.execute()

    def claim(self, job_id: str) -> bool:
        """Begin a job: whether it is still to be done. Its lease starts now."""
        lease_end = self._now_s() + LEASE_S
        return bool(self._redis.zadd(JOBS_KEY, {job_id: lease_end}, xx=True, ch=True))

    def finish(self, job_id: str, result: str) -> None:
        """Store a job's result and strike it out, in one step; nothing when it is no longer here.

        So a result is kept only of a job that nobody has taken back or finished meanwhile.
        """
        key = JOB_PREFIX + job_id
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.watch(key)
            if not pipe.exists(key):
                return
            pipe.multi()
            pipe.set(RESULT_PREFIX + job_id, result, ex=RESULT_TTL_S)
            pipe.zrem(JOBS_KEY, job_id)
            pipe.delete(key)
            try:
                pipe.execute()
            except redis.WatchError:
                return

    def cancel(self, job_ids: Sequence[str]) -> None:
        """Strike jobs out and drop results; what a worker makes of one it has begun is not kept."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.zrem(JOBS_KEY, *job_ids)
        pipe.delete(*(JOB_PREFIX + job_id for job_id in job_ids))
        pipe.delete(*(RESULT_PREFIX + job_id for job_id in job_ids))
        pipe.execute()

    def results(self, job_ids: Sequence[str]) -> list[bytes | None]:
        """The stored results, None where there is none yet."""
        found: list[bytes | None] = self._redis.mget([RESULT_PREFIX + job_id for job_id in job_ids])
        return found

    def count_results(self, job_ids: Sequence[str]) -> int:
        """How many of these jobs have a result."""
        return int(self._redis.exists(*(RESULT_PREFIX + job_id for job_id in job_ids)))

    def count_open(self, job_ids: Sequence[str]) -> int:
        """How many of these jobs are still to be done."""
        scores = self._redis.zmscore(JOBS_KEY, list(job_ids))
        return sum(score is not None for score in scores)

    def overdue(self) -> list[LedgerEntry]:
        """Jobs to send again, their next time moved on. Those whose text has expired are dropped.

        None while the lane's queue holds messages: an overdue job may be one that waits there.
        """
        if self._redis.llen(Lane.BULK.value):
            return []
        now = self._now_s()
        ids = self._redis.zrange(JOBS_KEY, 0, now, byscore=True, offset=0, num=SWEEP_JOBS)
        entries = []
        for raw_id in ids:
            job_id = raw_id.decode("ascii", errors="replace")
            task_name, sealed = self._redis.hmget(JOB_PREFIX + job_id, "task", "sealed")
            if task_name is None or sealed is None:
                self._redis.zrem(JOBS_KEY, raw_id)
                continue
            if self._redis.zadd(JOBS_KEY, {raw_id: now + RESEND_AFTER_S}, xx=True, ch=True):
                entries.append(LedgerEntry(job_id, task_name.decode(), sealed.decode()))
        return entries
