"""The broker's ACL users, by dry runs: what each part needs it may, and no more than it should.

A dry run (`ACL DRYRUN`) asks the server whether a user might run a command, and runs nothing. Only
a user who may look at others can ask: run the doctor with such a one in CAAS_BROKER_URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from redis.exceptions import ResponseError

from caas_cli.broker_acl import CLIENT, MONITOR, SCALER, WORKER
from caas_cli.doctor.finding import Finding
from caas_tasks.job_ledger import JOB_PREFIX, JOBS_KEY, RESULT_PREFIX
from caas_tasks.names import Lane
from caas_tasks.redis_url import BrokerUrl
from caas_tasks.reply_backend import INBOX_PREFIX

NAME: Final = "rights"
_INBOX: Final = INBOX_PREFIX + 32 * "0"
_Command = tuple[str, ...]

NEEDS: Final[Mapping[str, tuple[_Command, ...]]] = {
    CLIENT: (
        *(("LPUSH", lane.value, "x") for lane in Lane),
        ("BLMPOP", "1", "1", _INBOX, "LEFT"),
        ("HSET", f"{JOB_PREFIX}x", "task", "x"),
        ("ZADD", JOBS_KEY, "1", "x"),
        ("MGET", f"{RESULT_PREFIX}x"),
    ),
    WORKER: (
        *(("BRPOP", lane.value, "1") for lane in Lane),
        ("RPUSH", _INBOX, "x"),
        ("EXPIRE", _INBOX, "60"),
        ("HMGET", f"{JOB_PREFIX}x", "task", "sealed"),
        ("ZADD", JOBS_KEY, "1", "x"),
        ("SET", f"{RESULT_PREFIX}x", "x"),
        ("LINDEX", Lane.FAST.value, "-1"),
    ),
    MONITOR: (
        *(("LLEN", lane.value) for lane in Lane),
        ("INFO",),
        ("PUBLISH", "/0.celery.pidbox", "x"),
    ),
    SCALER: tuple(("EVAL", "return 0", "1", lane.value) for lane in Lane),
}
"""Some commands of each part; without one of them it does not work."""

FORBIDDEN: Final[tuple[_Command, ...]] = (
    ("KEYS", "*"),
    ("MONITOR",),
    ("CONFIG", "GET", "*"),
    ("FLUSHALL",),
    ("ACL", "LIST"),
)
"""What none of them should be able to do."""


def users(connection: Any, broker: BrokerUrl) -> list[Finding]:
    """What dry runs say of the users, or why there were none."""
    try:
        names = {_text(name) for name in connection.execute_command("ACL", "USERS")}
    except ResponseError:
        return [Finding(NAME, True, "not asked: this user may not look at the broker's users")]
    known = [name for name in NEEDS if name in names]
    if not known:
        return _no_users(broker)
    return [finding for name in known for finding in _user(connection, name)]


def _no_users(broker: BrokerUrl) -> list[Finding]:
    detail = "the broker has no users of this service: each part may do everything"
    if broker.socket_path is not None:
        return [Finding(NAME, True, f"{detail}; its socket is this machine's alone")]
    return [Finding(NAME, False, detail, "make them: `caas init --compose` writes an ACL file")]


def _user(connection: Any, name: str) -> list[Finding]:
    lacking = [needed for needed in NEEDS[name] if not _may(connection, name, needed)]
    beyond = [what for what in FORBIDDEN if _may(connection, name, what)]
    advice = "load the ACL file of this release again (ACL LOAD)"
    if lacking:
        return [Finding(NAME, False, f"{name} may not: {_listed(lacking)}", advice)]
    if beyond:
        return [Finding(NAME, False, f"{name} may, and should not: {_listed(beyond)}", advice)]
    return [Finding(NAME, True, f"{name} may do what it needs and no more")]


def _may(connection: Any, user: str, command: _Command) -> bool:
    try:
        return _text(connection.execute_command("ACL", "DRYRUN", user, *command)) == "OK"
    except ResponseError:
        return False


def _listed(commands: list[_Command]) -> str:
    return ", ".join(" ".join(command[:2]) for command in commands)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
