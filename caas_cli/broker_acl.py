"""The broker's users, each with the fewest commands and keys that its part works with.

Selectors (Redis 7, Valkey) tie commands to keys: a client may remove a result of a job that it
takes back, and can't write one. `tests/ops` holds each rule to a real server: all that a part needs
works without a refusal in `ACL LOG`, and what it must not do is refused.

| user           | for                            | reaches                                        |
|----------------|--------------------------------|------------------------------------------------|
| `caas-client`  | main servers, the gateway      | lanes, to put on; its inbox, by a name of 128  |
|                |                                | random bits; the ledger and results of jobs    |
| `caas-worker`  | workers                        | lanes, to take from; inboxes, to put in; the   |
|                |                                | ledger; counters; Celery's remote control      |
| `caas-monitor` | Flower, exporters              | lengths; worker events and remote control      |
| `caas-scaler`  | autoscalers such as KEDA       | lengths of lanes                               |
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from caas_tasks.job_ledger import JOB_PREFIX, JOBS_KEY, RESULT_PREFIX
from caas_tasks.names import API_KEYS_USED, Lane
from caas_tasks.reply_backend import INBOX_PREFIX

CLIENT: Final = "caas-client"
WORKER: Final = "caas-worker"
MONITOR: Final = "caas-monitor"
SCALER: Final = "caas-scaler"

GUESS_PREFIX: Final = "caas:guess:"

_LANES: Final = tuple(lane.value for lane in Lane)
# What redis-py sends on each connection, and a transaction.
_LOGIN: Final = "+auth +hello +ping +select"
_CONNECTION: Final = f"{_LOGIN} +client|setname"
_TRANSACTION: Final = "+multi +exec +discard"


def _keys(permission: str, *patterns: str) -> str:
    return " ".join(f"%{permission}~{pattern}" for pattern in patterns)


# Celery's remote control: bindings, which kombu keeps by scripts, and lists of workers and askers.
_CONTROL: Final = (
    "+publish +subscribe +psubscribe +unsubscribe +punsubscribe +script|load +script|exists",
    "(+eval +evalsha +sadd +srem +smembers +sismember +zadd +zrem +zrangebyscore +exists +del "
    "~_kombu.binding*)",
    "(+lpush +brpop +llen +exists +del +pexpire ~*.celery.pidbox ~celeryev.*)",
)
# A subscription to a pattern needs that very pattern here; 0 is the database.
_CHANNELS: Final = "&/0.celery.pidbox &/0.celeryev/*"

RULES: Final[Mapping[str, tuple[str, ...]]] = {
    CLIENT: (
        f"resetchannels {_CONNECTION} {_TRANSACTION} +time",
        f"(+lpush {_keys('W', *_LANES)})",
        f"(+blmpop ~{INBOX_PREFIX}*)",
        f"(+hset +expire +del {_keys('W', JOB_PREFIX + '*')})",
        f"(+zadd +zrem {_keys('W', JOBS_KEY)})",
        f"(+zmscore {_keys('R', JOBS_KEY)})",
        f"(+mget +exists {_keys('R', RESULT_PREFIX + '*')})",
        f"(+del {_keys('W', RESULT_PREFIX + '*')})",
    ),
    WORKER: (
        f"resetchannels {_CHANNELS} {_CONNECTION} {_TRANSACTION} +unwatch +time",
        f"(+brpop +llen +lindex ~{_LANES[0]} ~{_LANES[1]} ~{_LANES[2]})",
        f"(+lpush {_keys('W', Lane.BULK.value)})",
        f"(+rpush +expire {_keys('W', INBOX_PREFIX + '*')})",
        f"(+watch +exists +hmget +del ~{JOB_PREFIX}*)",
        f"(+zadd +zrem +zrange +zcard ~{JOBS_KEY})",
        f"(+set {_keys('W', RESULT_PREFIX + '*')})",
        f"(+eval +evalsha +hmget +hset +expireat ~{GUESS_PREFIX}*)",
        f"(+hset {_keys('W', API_KEYS_USED)})",
        *_CONTROL,
    ),
    MONITOR: (
        f"resetchannels {_CHANNELS} {_CONNECTION} {_TRANSACTION} +time +info",
        f"(+llen {_keys('R', *_LANES)})",
        f"(+zcard +zcount {_keys('R', JOBS_KEY)})",
        f"(+hmget +hgetall {_keys('R', API_KEYS_USED)})",
        *_CONTROL,
    ),
    SCALER: (
        f"resetchannels {_LOGIN}",
        # KEDA asks by a script, which needs its keys whole; what runs in it has to be here as well.
        f"(+eval +type +llen ~{_LANES[0]} ~{_LANES[1]} ~{_LANES[2]})",
    ),
}


def acl_file(passwords: Mapping[str, str]) -> str:
    """The ACL file: those users with their passwords hashed, and no default user.

    Args:
        passwords: by user; each long and random, since SHA-256 alone slows nobody down.
    """
    lines = ["user default off nopass sanitize-payload resetchannels -@all"]
    for user, rules in RULES.items():
        digest = hashlib.sha256(passwords[user].encode()).hexdigest()
        lines.append(f"user {user} on #{digest} sanitize-payload {' '.join(rules)}")
    return "\n".join(lines) + "\n"
