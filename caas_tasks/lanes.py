"""How full the lanes are: the length of each and the age of its oldest message."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis

from caas_tasks import message_id
from caas_tasks.job_ledger import JOBS_KEY
from caas_tasks.names import Lane


@dataclass(frozen=True, slots=True)
class LaneState:
    """One lane as it was when it was looked at.

    Attributes:
        length: messages that wait; what a worker has taken is not among them.
        oldest_age_s: age of the one that waits longest; 0 when none does, None when it doesn't say.
    """

    lane: Lane
    length: int
    oldest_age_s: float | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """All lanes, and the jobs of the bulk lane that are not done."""

    lanes: tuple[LaneState, ...]
    open_jobs: int


def look(client: redis.Redis, now_ms: Callable[[], int]) -> Backlog:
    """Look at every lane, in one round trip.

    Args:
        client: a redis-py client of the broker.
        now_ms: Unix time in milliseconds.

    Raises:
        redis.RedisError: the broker can't be reached, or refuses to tell lengths.
    """
    pipeline: Any = client.pipeline(transaction=False)
    for lane in Lane:
        # Messages are pushed on the left and taken from the right: the last is the oldest.
        pipeline.llen(lane.value).lindex(lane.value, -1)
    # A user who may count messages and not look at one still learns the lengths.
    *answers, open_jobs = pipeline.zcard(JOBS_KEY).execute(raise_on_error=False)
    for answer in (*answers[::2], open_jobs):
        if isinstance(answer, Exception):
            raise answer
    now = now_ms()
    pairs = zip(Lane, answers[::2], answers[1::2], strict=True)
    lanes = tuple(LaneState(lane, int(length), _age_s(raw, now)) for lane, length, raw in pairs)
    return Backlog(lanes, int(open_jobs))


def _age_s(raw: object, now_ms: int) -> float | None:
    if raw is None:
        return 0.0
    if not isinstance(raw, bytes):
        return None
    with suppress(ValueError, TypeError, LookupError, RecursionError):
        return message_id.age_s(json.loads(raw)["headers"]["id"], now_ms)
    return None


def short_name(lane: Lane) -> str:
    """The lane's name in metrics and on the command line: `fast`, `password`, `bulk`."""
    return lane.value.rpartition(".")[2]
