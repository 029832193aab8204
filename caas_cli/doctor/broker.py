"""The broker: that it answers, its clock, and settings that would lose what is in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import redis
from redis.exceptions import NoPermissionError, ResponseError

from caas_cli import client_env
from caas_cli.doctor import rights
from caas_cli.doctor.finding import Finding
from caas_cli.home import Home
from caas_tasks.broker_fault import reason_of
from caas_tasks.errors import ConfigurationError
from caas_tasks.limits import CLOCK_TOLERANCE_MS
from caas_tasks.redis_connection import connect
from caas_tasks.redis_url import BrokerUrl
from caas_tasks.settings import read_brokers

CONNECT_TIMEOUT_S: Final = 3.0
BROKER: Final = "broker"
_NO_EVICTION: Final = "noeviction"
T = TypeVar("T")


def brokers(home: Home) -> list[Finding]:
    """Each broker that CAAS_BROKER_URL names."""
    try:
        found = read_brokers(client_env.setting(home.client_env, client_env.BROKER_URL))
    except ConfigurationError as error:
        return [Finding(BROKER, False, str(error), "set CAAS_BROKER_URL, or run `caas init`")]
    return [finding for url in found for finding in _broker(url)]


def _broker(url: BrokerUrl) -> list[Finding]:
    problem = ""
    found: list[Finding] = []
    try:
        with connect(
            url, socket_timeout=CONNECT_TIMEOUT_S, socket_connect_timeout=CONNECT_TIMEOUT_S
        ) as connection:
            found = [*ask(connection, url.display), *rights.users(connection, url)]
    except (redis.RedisError, OSError, ValueError) as error:
        problem = reason_of(error)
    if problem:
        advice = "start it (`caas up` brings its own), or correct CAAS_BROKER_URL"
        return [Finding(BROKER, False, f"{url.display} does not answer: {problem}", advice)]
    return found


def if_allowed(question: Callable[[], T]) -> T | None:
    """The answer, or None where this user may not ask it, or the server has no such command."""
    try:
        return question()
    except (NoPermissionError, ResponseError):
        return None


def ask(connection: Any, display: str) -> list[Finding]:
    """What a reachable broker says of itself; what this user may not ask is left out."""
    connection.ping()
    server: dict[str, Any] = if_allowed(lambda: connection.info("server")) or {}
    version = server.get("valkey_version") or server.get("redis_version")
    told = "" if version is None else f", version {version}"
    return [
        Finding(BROKER, True, f"{display} answers{told}"),
        *_clock(connection),
        *_memory(if_allowed(lambda: connection.info("memory"))),
        *_persistence(if_allowed(lambda: connection.info("persistence"))),
    ]


def _clock(connection: Any) -> list[Finding]:
    before_s = time.time()
    answer = if_allowed(connection.time)
    after_s = time.time()
    if answer is None:
        return []
    seconds, microseconds = answer
    skew_s = (before_s + after_s) / 2 - (seconds + microseconds / 1_000_000)
    return [clock_finding(skew_s, "the broker's host")]


def clock_finding(skew_s: float, whose: str) -> Finding:
    """What it means that this host's clock is so far ahead of another's.

    Args:
        skew_s: seconds; negative when it is behind.
    """
    limit_s = CLOCK_TOLERANCE_MS / 1_000
    is_close = abs(skew_s) <= limit_s
    return Finding(
        "clock",
        is_close,
        f"{abs(skew_s):.3f} s {'ahead of' if skew_s > 0 else 'behind'} {whose}",
        "" if is_close else f"set both clocks by NTP: {limit_s:g} s apart is the most",
    )


def _memory(memory: dict[str, Any] | None) -> list[Finding]:
    if memory is None or "maxmemory_policy" not in memory:
        return []
    policy = memory["maxmemory_policy"]
    if policy != _NO_EVICTION:
        detail = f"maxmemory-policy is {policy}: a full broker drops messages and replies"
        return [Finding("eviction", False, detail, f"CONFIG SET maxmemory-policy {_NO_EVICTION}")]
    limit, used = int(memory.get("maxmemory", 0)), int(memory.get("used_memory", 0))
    if limit and used > 0.8 * limit:
        detail = f"uses {used >> 20} of {limit >> 20} MiB; at the limit it refuses messages"
        return [Finding("eviction", False, detail, "raise maxmemory, or start more workers")]
    return [Finding("eviction", True, "a full broker refuses and drops nothing")]


def _persistence(persistence: dict[str, Any] | None) -> list[Finding]:
    if persistence is None or "aof_enabled" not in persistence:
        return []
    if not int(persistence["aof_enabled"]):
        detail = "appendonly is off: jobs of the bulk lane are lost when the broker restarts"
        return [Finding("persistence", False, detail, "CONFIG SET appendonly yes, and in its file")]
    if persistence.get("aof_last_write_status", "ok") != "ok":
        detail = "the append-only file can't be written"
        return [Finding("persistence", False, detail, "make room on the broker's disk")]
    return [Finding("persistence", True, "jobs of the bulk lane outlive a restart of the broker")]
