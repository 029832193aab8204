"""Who takes part: how each contender is served and called, and in which setting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
HTTP: Final = "{http}"
"""Stands in a command for the server's address options."""


@dataclass(frozen=True)
class Contender:
    """One way to have the work done.

    Attributes:
        name: short, also of the module under `benchmarks.peers` and of the environment.
        title: for tables.
        setting: the choices made for it, for the README.
        serve: arguments after the environment's python; `HTTP` is replaced by address options.
        env: on top of the addresses.
        has_threads, has_asyncio: what its callers can be.
        calls: the module that calls it, where that is not its own.
        venv: whose environment its callers run in, where that is not its own.
        is_http: it is served over HTTP, not through the broker.
    """

    name: str
    title: str
    setting: str
    serve: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    has_threads: bool = True
    has_asyncio: bool = False
    calls: str = ""
    venv: str = ""
    is_http: bool = False

    @property
    def calls_module(self) -> str:
        return "benchmarks.peers." + (self.calls or f"{self.name}.calls")


def uvicorn(app: str, *options: str) -> tuple[str, ...]:
    """A one-process uvicorn with its fast loop and parser, without an access log."""
    return (
        *("-m", "uvicorn", app, HTTP, "--loop", "uvloop", "--http", "httptools"),
        *("--no-access-log", "--log-level", "warning", *options),
    )


CELERY_WORKER: Final = (
    *("-m", "celery", "-A", "benchmarks.peers.celery.app", "worker", "--loglevel=ERROR"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
)

CONTENDERS: Final = (
    Contender(
        "caas",
        "this service",
        "`caas worker`, one process",
        ("-m", "caas_cli", "worker", "--quiet"),
        {"CAAS_LOG_LEVEL": "WARNING"},
        has_asyncio=True,
    ),
    Contender(
        "celery",
        "plain Celery",
        "`delay().get()`; prefork, one child; no gossip, mingle, heartbeat, rate limits",
        (*CELERY_WORKER, "--pool=prefork", "--concurrency=1", "--prefetch-multiplier=64"),
    ),
    Contender(
        "dramatiq",
        "dramatiq",
        "one process, 8 threads, results middleware alone",
        (
            *("-m", "dramatiq", "benchmarks.peers.dramatiq.app", "--processes=1", "--threads=8"),
            "--skip-logging",
        ),
    ),
    Contender(
        "arq",
        "arq",
        "polls every millisecond, 100 jobs at a time, uvloop",
        ("-m", "benchmarks.peers.arq.service"),
        has_threads=False,
        has_asyncio=True,
    ),
    Contender(
        "saq",
        "saq",
        "`apply` polling every 5 ms, concurrency 64, hiredis, uvloop",
        ("-m", "saq", "benchmarks.peers.saq.app.settings", "--quiet"),
        {"BENCH_SAQ_WORKER": "1"},
        has_threads=False,
        has_asyncio=True,
    ),
    Contender(
        "taskiq",
        "taskiq",
        "list queue, results polled every millisecond, acknowledged when received, no parsing",
        (
            *("-m", "taskiq", "worker", "benchmarks.peers.taskiq.app:broker", "--workers=1"),
            *("--no-parse", "--ack-type=when_received", "--log-level=ERROR"),
        ),
        has_threads=False,
        has_asyncio=True,
    ),
    Contender(
        "rq",
        "RQ",
        "`SimpleWorker` (no fork a job), JSON, blocking for the result",
        (
            *("-m", "rq.cli", "worker", "bench", "--url", "{redis}", "--quiet"),
            *("--worker-class=rq.SimpleWorker", "--serializer=json"),
        ),
    ),
    Contender(
        "huey",
        "huey",
        "one thread, blocking queue and `notify_result`",
        (
            *("-m", "huey.bin.huey_consumer", "benchmarks.peers.huey.app.huey"),
            *("--workers=1", "--worker-type=thread", "--no-periodic", "--quiet"),
        ),
    ),
    Contender(
        "redis_list",
        "a bare Redis list loop",
        "one push and one pop each way, a list a thread, hiredis",
        ("-m", "benchmarks.peers.redis_list.service"),
    ),
    Contender(
        "redis_batch",
        "a batched Redis list loop",
        "up to 500 requests a push, two under way; no sealing, no checks, no Celery",
        ("-m", "benchmarks.peers.redis_batch.service"),
        has_asyncio=True,
    ),
    Contender(
        "starlette",
        "Starlette over HTTP",
        "one uvicorn process, uvloop, httptools; callers: http.client, aiohttp",
        uvicorn("benchmarks.peers.starlette.service:app"),
        has_asyncio=True,
        calls="http_calls",
        is_http=True,
    ),
    Contender(
        "django",
        "Django over HTTP",
        "one process, no middleware; callers: http.client, aiohttp",
        uvicorn("benchmarks.peers.django.service:asgi"),
        {"BENCH_HTTP_PATH": "/async"},
        has_asyncio=True,
        calls="http_calls",
        is_http=True,
    ),
    Contender(
        "gateway",
        "this service's gateway",
        "one uvicorn process before one worker; callers: http.client, aiohttp",
        uvicorn("gateway.app:create_app", "--factory"),
        {"BENCH_HTTP_PATH": "/encrypt"},
        has_asyncio=True,
        calls="http_calls",
        venv="starlette",
        is_http=True,
    ),
)

BY_NAME: Final = {contender.name: contender for contender in CONTENDERS}
Replace = Callable[[str], str]
