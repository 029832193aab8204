"""The password lane: its rate against Argon2 called directly, and what it does to fast calls.

    python -m benchmarks.password_lane

Rounds alternate. First argon2-cffi called in as many threads as the password worker has, and the
same work through client, broker and worker, both at the usual priority. Then fast calls of one
caller with the password lane idle, and with it saturated by the same client, the worker's threads
standing back as they do by default. Ratios are taken round by round. The result is kept under
`benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

from benchmarks import machine
from benchmarks.contenders import ROOT
from benchmarks.stage import Stage, stop
from caas_cli.worker_command import password_threads
from caas_tasks.stored_forms import DEFAULT_ARGON2_PROFILE, PASSWORD_PROFILES
from producer_client import Client
from worker.settings import WorkerSettings

USER: Final = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
CALLERS_PER_THREAD: Final = 4
RATE_BAR: Final = 0.95
P99_BAR: Final = 1.5
Sample = dict[str, float]


def default(name: str) -> int:
    """A worker setting's default."""
    value: int = WorkerSettings.model_fields[name].default
    return value


NICE: Final = default("password_nice")
THREADS: Final = password_threads(default("password_memory_kib"))


def rate_of(work: Callable[[], object], threads: int, seconds: float) -> float:
    """How often a second `work` ends when so many threads repeat it; start and end don't count."""
    end = time.perf_counter() + seconds
    ended: list[float] = []

    def repeat(_number: int) -> None:
        while time.perf_counter() < end:
            work()
            ended.append(time.perf_counter())

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(repeat, range(threads)))
    ended.sort()
    # From one end to another while all were at work.
    inside = ended[threads - 1 : len(ended) - threads + 1]
    return (len(inside) - 1) / (inside[-1] - inside[0])


def direct(seconds: float) -> float:
    """Argon2id by argon2-cffi with the default profile's costs, over and over."""
    from argon2 import low_level

    cost = PASSWORD_PROFILES[DEFAULT_ARGON2_PROFILE]

    def work() -> object:
        return low_level.hash_secret_raw(
            os.urandom(48),
            os.urandom(16),
            time_cost=cost.time_cost,
            memory_cost=cost.memory_kib,
            parallelism=cost.parallelism,
            hash_len=32,
            type=low_level.Type.ID,
        )

    return rate_of(work, THREADS, seconds)


def fast_latencies_ms(client: Client, seconds: float) -> Sample:
    """What one caller of `encrypt` waits."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        client.encrypt(USER, "example sensitive data")
        taken.append((time.perf_counter() - started) * 1_000)
    cuts = quantiles(taken, n=100)
    return {"p50_ms": cuts[49], "p90_ms": cuts[89], "p99_ms": cuts[98], "calls": len(taken)}


@contextmanager
def saturated(client: Client) -> Iterator[list[float]]:
    """The password lane always has more than it can do; the times at which hashes ended."""
    is_over = threading.Event()
    ended: list[float] = []

    def repeat(_number: int) -> None:
        while not is_over.is_set():
            client.hash_password(USER, "correct horse battery staple")
            ended.append(time.perf_counter())

    callers = CALLERS_PER_THREAD * THREADS
    with ThreadPoolExecutor(callers) as pool:
        running = [pool.submit(repeat, number) for number in range(callers)]
        while len(ended) < callers:
            time.sleep(0.05)
        try:
            yield ended
        finally:
            is_over.set()
        for each in running:
            each.result()


class Round:
    """One round's measurements, in turn."""

    def __init__(self, client: Client, seconds: float) -> None:
        self._client = client
        self._seconds = seconds

    def direct(self) -> Sample:
        """In a process of its own."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.password_lane"),
                *("--direct", "--seconds", str(self._seconds)),
            ],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        return {"per_s": float(done.stdout)}

    def lane(self) -> Sample:
        """Through client, broker and worker."""
        callers = CALLERS_PER_THREAD * THREADS
        work = lambda: self._client.hash_password(USER, "a password")  # noqa: E731 - one expression
        return {"per_s": rate_of(work, callers, self._seconds)}

    def idle(self) -> Sample:
        """Fast calls beside an idle password worker."""
        return fast_latencies_ms(self._client, self._seconds)

    def busy(self) -> Sample:
        """Fast calls beside a saturated one."""
        with saturated(self._client) as ended:
            before = len(ended)
            sample = fast_latencies_ms(self._client, self._seconds)
            return {**sample, "passwords_per_s": (len(ended) - before) / self._seconds}

    def measure(self, *names: str) -> dict[str, Sample]:
        """Some of them, in turn."""
        return {name: getattr(self, name)() for name in names}


@contextmanager
def worker(stage: Stage, folder: Path, lane: str, nice: int) -> Iterator[None]:
    """A worker as operators start it."""
    env = {**stage.env, "CAAS_HOME": str(folder / "home"), "CAAS_PASSWORD_NICE": str(nice)}
    process = subprocess.Popen(
        [sys.executable, "-m", "caas_cli", "worker", "--quiet", f"--lane={lane}"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # as `caas up` starts each part
    )
    try:
        yield
    finally:
        stop(process)


def run(rounds: int, seconds: float, pause_s: float) -> dict[str, Any]:
    """All rounds, and their ratios."""
    samples: list[dict[str, Sample]] = [{} for _ in range(rounds)]
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="caas-")))
        stage = exits.enter_context(Stage(folder, "unix"))
        exits.enter_context(worker(stage, folder, "fast", 0))
        client = Client(
            broker_url=stage.env["CAAS_BROKER_URL"],
            api_key=stage.env["CAAS_API_KEY"],
            server_key=stage.env["CAAS_SERVER_KEY"],
        )
        exits.callback(client.close)
        for nice, names in ((0, ("direct", "lane")), (NICE, ("idle", "busy"))):
            with worker(stage, folder, "password", nice):
                stage.wait_for_consumers(2)
                client.encrypt(USER, "warm")
                client.hash_password(USER, "warm")
                for sample in samples:
                    sample.update(Round(client, seconds).measure(*names))
                    print({name: sample[name] for name in names}, file=sys.stderr)
                    time.sleep(pause_s)
    return {**machine.describe(), "rows": rows(samples), "samples": samples, "settings": settings()}


def settings() -> dict[str, Any]:
    """What was measured under."""
    return {
        "profile": DEFAULT_ARGON2_PROFILE,
        "threads": THREADS,
        "nice": NICE,
        "callers": CALLERS_PER_THREAD * THREADS,
    }


def rows(samples: list[dict[str, Sample]]) -> list[dict[str, Any]]:
    """The ratios and their bars."""
    rates = [sample["lane"]["per_s"] / sample["direct"]["per_s"] for sample in samples]
    waits = [sample["busy"]["p99_ms"] / sample["idle"]["p99_ms"] for sample in samples]
    return [
        _row("passwords a second, against argon2-cffi called directly", rates, RATE_BAR, 1),
        _row("fast p99 with the password lane saturated, against idle", waits, P99_BAR, -1),
    ]


def _row(what: str, values: list[float], bar: float, sign: int) -> dict[str, Any]:
    return {
        "what": what,
        "value": median(values),
        "lowest": min(values),
        "highest": max(values),
        "bar": bar,
        "is_met": sign * median(values) >= sign * bar,
    }


def main() -> int:
    """Run, print and keep the result; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between rounds")
    parser.add_argument("--direct", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.direct:
        print(direct(options.seconds))
        return 0
    result = run(options.rounds, options.seconds, options.pause)
    for row in result["rows"]:
        print(f"{row['what']}: {row['value']:.3f} ({row['lowest']:.3f} to {row['highest']:.3f})")
    path = ROOT / "benchmarks" / "results" / f"password-lane-{result['commit']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(path.relative_to(ROOT))
    return 0 if all(row["is_met"] for row in result["rows"]) else 1


if __name__ == "__main__":
    sys.exit(main())
