"""The workers: that one answers, that each lane has one, their releases and clocks."""

from __future__ import annotations

import time
from importlib import metadata
from typing import Any, Final

from caas_cli import client_env, requests
from caas_cli.doctor.broker import clock_finding
from caas_cli.doctor.finding import Finding
from caas_cli.exit_codes import one_line
from caas_cli.home import Home
from caas_tasks.errors import (
    CaasError,
    RequestTimeoutError,
    ServiceUnavailableError,
    UnreadableMessageError,
)
from caas_tasks.lanes import short_name
from caas_tasks.names import ABOUT, Lane
from caas_tasks.settings import read_brokers

PING_TIMEOUT_S: Final = 5.0
ABOUT_TIMEOUT_S: Final = 1.5
WORKERS: Final = "workers"


def worker(home: Home) -> list[Finding]:
    """A call from end to end."""
    problem: CaasError
    try:
        with requests.client(home) as client:
            started_s = time.perf_counter()
            client.ping(timeout_s=PING_TIMEOUT_S)
            took_ms = (time.perf_counter() - started_s) * 1_000
            return [Finding("worker", True, f"answers end to end in {took_ms:.1f} ms")]
    except CaasError as error:
        problem = error
    return [Finding("worker", False, one_line(problem), _advice(problem))]


def _advice(error: CaasError) -> str:
    if isinstance(error, RequestTimeoutError):
        return "start a worker: `caas worker`, or `caas up` for everything"
    if isinstance(error, UnreadableMessageError):
        return "the workers have another keystore than CAAS_SERVER_KEY belongs to"
    if isinstance(error, ServiceUnavailableError):
        return "see the broker above"
    return "set what is missing, or run `caas init`"


def workers(home: Home) -> list[Finding]:
    """What the workers of every broker say of themselves."""
    found: list[dict[str, Any]] = []
    brokers = read_brokers(client_env.setting(home.client_env, client_env.BROKER_URL))
    for broker in brokers:
        answers = _ask(broker)
        if answers is None:
            detail = "not asked: this user may not use Celery's remote control"
            return [Finding(WORKERS, True, detail)]
        found += answers
    return judge(found, time.time())


def _ask(broker: Any) -> list[dict[str, Any]] | None:
    import redis
    from kombu.exceptions import OperationalError

    from caas_tasks.celery_app import create_app

    app = create_app(broker)
    try:
        replies = app.control.broadcast(ABOUT, reply=True, timeout=ABOUT_TIMEOUT_S) or []
    except (redis.RedisError, OperationalError, OSError):
        return None
    finally:
        app.close()
    # A worker of a release that does not know the question answers with an error.
    return [answer for reply in replies for answer in reply.values() if isinstance(answer, dict)]


def judge(answers: list[dict[str, Any]], now_s: float) -> list[Finding]:
    """What is to be said of the workers' answers, which came through the broker: forms are checked.

    Args:
        now_s: Unix time in seconds, about when they answered.
    """
    known = [answer for answer in answers if isinstance(answer.get("lanes"), list)]
    return [*_lanes(known), *_releases(answers), *_clocks(known, now_s)]


def _lanes(answers: list[dict[str, Any]]) -> list[Finding]:
    found = []
    for lane in Lane:
        count = sum(lane.value in answer["lanes"] for answer in answers)
        name = short_name(lane)
        if count:
            found.append(Finding(WORKERS, True, f"{count} take(s) from the lane {name}"))
        else:
            advice = f"caas worker --lane {name}"
            found.append(Finding(WORKERS, False, f"none takes from the lane {name}", advice))
    return found


def _releases(answers: list[dict[str, Any]]) -> list[Finding]:
    own = metadata.version("caas")
    others = {str(answer.get("version", "an older release"))[:32] for answer in answers} - {own}
    if not others:
        return []
    detail = f"this is {own}, and there are workers of {', '.join(sorted(others))}"
    advice = "bring all to one release; docs/operations.md (Upgrade without downtime)"
    return [Finding("releases", False, detail, advice)]


def _clocks(answers: list[dict[str, Any]], now_s: float) -> list[Finding]:
    skews = [
        now_s - answer["now_ms"] / 1_000
        for answer in answers
        if isinstance(answer.get("now_ms"), int)
    ]
    if not skews:
        return []
    worst = max(skews, key=abs)
    # The answers were collected for that long: so much says nothing about a clock.
    return [clock_finding(0.0 if 0 <= worst <= ABOUT_TIMEOUT_S + 0.5 else worst, "a worker's host")]
