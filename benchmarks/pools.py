"""Which of Celery's pools suits which lane, and what events cost: a table, and JSON of it.

    python -m benchmarks.pools [--rounds 3] [--seconds 1]

The fast lane is asked by one thread and by 64 asyncio tasks, the bulk lane is given jobs and waited
for, the password lane is asked by eight threads. Settings take turns, round after round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import machine, work
from benchmarks.contenders import ROOT, Contender
from benchmarks.stage import Stage, cpu_s
from caas_cli import measure
from caas_tasks.names import Lane
from producer_client import AsyncClient, Client

JOBS: Final = 40
JOB_PAIRS: Final = 500
PASSWORD_CALLERS: Final = 8
TIMEOUT_S: Final = 60.0
_WORKER: Final = ("-m", "caas_cli", "worker", "--quiet")
_PREFORK: Final = ("--pool=prefork", "--prefetch-multiplier=64")
Sample = dict[str, float]


@dataclass(frozen=True)
class Setting:
    """A worker's options."""

    lane: Lane
    title: str
    options: tuple[str, ...]


SETTINGS: Final = (
    Setting(Lane.FAST, "solo", ()),
    Setting(Lane.FAST, "solo, events on", ("--task-events",)),
    Setting(Lane.FAST, "threads, 4", ("--pool=threads", "--concurrency=4")),
    Setting(Lane.FAST, "prefork, 1", (*_PREFORK, "--concurrency=1")),
    Setting(Lane.FAST, "prefork, 2", (*_PREFORK, "--concurrency=2")),
    Setting(Lane.BULK, "solo", ()),
    Setting(Lane.BULK, "solo, events on", ("--task-events",)),
    Setting(Lane.BULK, "threads, 4", ("--pool=threads", "--concurrency=4")),
    Setting(Lane.BULK, "prefork, 2", ("--pool=prefork", "--concurrency=2")),
    Setting(Lane.PASSWORD, "threads, one a core", ()),
    Setting(Lane.PASSWORD, "solo", ("--pool=solo", "--concurrency=1")),
    Setting(Lane.PASSWORD, "prefork, 2", ("--pool=prefork", "--concurrency=2")),
)


def _fast(client: Client, options: dict[str, Any], seconds: float) -> Sample:
    pairs = cycle(work.pairs(work.USERS))
    lone = measure.latency(lambda: client.encrypt(*next(pairs)), seconds)

    async def many() -> measure.Rate:
        async with AsyncClient(**options) as own:
            return await measure.async_rate(lambda: own.encrypt(*next(pairs)), 64, seconds)

    rate = asyncio.run(many())
    calls = lone.calls + rate.all_calls
    return {"p50_ms": lone.p50_ms, "per_s": rate.per_s, "failed": rate.failed, "calls": calls}


def _bulk(client: Client, _options: dict[str, Any], _seconds: float) -> Sample:
    portions = [work.pairs(work.USERS)[n * JOB_PAIRS :][:JOB_PAIRS] for n in range(JOBS)]
    started = time.perf_counter()
    jobs = [client.submit_encrypt_many(portion) for portion in portions]
    for job in jobs:
        client.collect(job.handle, timeout_s=TIMEOUT_S)
    took_s = time.perf_counter() - started
    return {"per_s": JOBS * JOB_PAIRS / took_s, "failed": 0, "calls": JOBS * JOB_PAIRS}


def _passwords(client: Client, _options: dict[str, Any], seconds: float) -> Sample:
    users = cycle(work.users(work.USERS))
    taken = measure.rate(
        lambda: client.hash_password(next(users), "a long password"), PASSWORD_CALLERS, 2 * seconds
    )
    return {"per_s": taken.per_s, "failed": taken.failed, "calls": taken.all_calls}


_MEASURE: Final[dict[Lane, Callable[[Client, dict[str, Any], float], Sample]]] = {
    Lane.FAST: _fast,
    Lane.BULK: _bulk,
    Lane.PASSWORD: _passwords,
}


def one(stage: Stage, setting: Setting, seconds: float) -> Sample:
    """One setting's sample."""
    name = setting.lane.name.lower()
    served_by = Contender("caas", "", "", (*_WORKER, "--lane", name, *setting.options))
    options: dict[str, Any] = {
        "broker_url": stage.env["CAAS_BROKER_URL"],
        "api_key": stage.env["CAAS_API_KEY"],
        "server_key": stage.env["CAAS_SERVER_KEY"],
        "timeout_s": TIMEOUT_S,
    }
    with stage.serve(served_by) as served, Client(**options) as client:
        stage.wait_for_consumers(1)
        before_s = cpu_s(served.pids)
        sample = _MEASURE[setting.lane](client, options, seconds)
        spent_s = cpu_s(served.pids) - before_s
    stage.flush()
    return {**sample, "worker_cpu_us": 1e6 * spent_s / sample["calls"]}


def table(samples: dict[str, list[Sample]]) -> str:
    """Medians, one line a setting."""
    lines = [
        "| lane | pool | one caller, p50 ms | answers/s | worker CPU us |",
        "|---|---|---|---|---|",
    ]
    for setting in SETTINGS:
        taken = samples[f"{setting.lane.value}: {setting.title}"]
        p50_ms = f"{median(one['p50_ms'] for one in taken):.2f}" if "p50_ms" in taken[0] else ""
        per_s, cpu_us = (median(one[name] for one in taken) for name in ("per_s", "worker_cpu_us"))
        lines.append(
            f"| {setting.lane.name.lower()} | {setting.title} | {p50_ms} | {per_s:,.0f} |"
            f" {cpu_us:,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure in turns, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pools")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    samples: dict[str, list[Sample]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="caas-bench-") as folder,
        Stage(Path(folder), "unix") as stage,
    ):
        for number in range(options.rounds):
            for setting in SETTINGS:
                name = f"{setting.lane.value}: {setting.title}"
                samples.setdefault(name, []).append(one(stage, setting, options.seconds))
                print(f"round {number + 1}: {name}: {samples[name][-1]}", flush=True)
    described = {**machine.describe(), "rounds": options.rounds, "samples": samples}
    path = ROOT / "benchmarks" / "results" / f"pools-{described['commit']}.json"
    path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    print(f"\n{table(samples)}\n\nkept in {path}")


if __name__ == "__main__":
    main()
