"""What metrics cost the fast lane.

    python -m benchmarks.observe_cost

Two services stand side by side, as in `benchmarks.guard_cost`: one worker serves metrics and is
scraped each second, the other does not. Both watch nothing else. Besides, the time that counting
one request takes is measured alone: that is what a lone call pays. The result is kept under
`benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median
from typing import Any, Final

from prometheus_client import CollectorRegistry

from benchmarks import machine
from benchmarks.contenders import ROOT
from benchmarks.guard_cost import CALLERS, Side
from benchmarks.stage import free_port
from caas_tasks.message_id import new_message_id
from caas_tasks.names import Operation
from worker.metrics import WorkerMetrics
from worker.outcome import Outcome, Stages

OFF: Final = {"CAAS_GUESS_LIMITS": "off"}
SCRAPE_S: Final = 1.0
REQUESTS: Final = 20_000
Sample = dict[str, dict[str, float]]


def scrape(port: int, ended: threading.Event) -> None:
    """Ask for the metrics each second, as Prometheus does."""
    while not ended.wait(SCRAPE_S):
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read()


def count_one_us() -> float:
    """Microseconds that counting one request takes, the best of some runs."""
    metrics = WorkerMetrics(CollectorRegistry(), time.monotonic)
    now_ms = time.time_ns() // 1_000_000
    outcome = Outcome(
        message_id=new_message_id(now_ms, os.urandom),
        operation=Operation.ENCRYPT,
        at_ms=now_ms,
        tenant="shop",
        api_key_id="id",
        key_version=1,
        items=1,
        refusal=None,
        codes={"ok": 1},
        users=(),
        duration_s=0.0001,
        stages=Stages(0.00003, 0.00005, 0.00002),
    )
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(REQUESTS):
            metrics.observe(outcome)
        best = min(best, time.perf_counter() - started)
    return 1e6 * best / REQUESTS


def run(rounds: int, seconds: float) -> dict[str, Any]:
    """All rounds, and their ratios."""
    ended = threading.Event()
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="caas-")))
        port = free_port()
        sides = {
            "off": Side(exits, folder / "a", OFF),
            "on": Side(exits, folder / "b", {**OFF, "CAAS_METRICS_PORT": str(port)}),
        }
        threading.Thread(target=scrape, args=(port, ended), daemon=True).start()
        samples: list[Sample] = []
        for number in range(rounds):
            names = ("off", "on") if number % 2 else ("on", "off")
            samples.append({name: sides[name].measure(seconds) for name in names})
            print(f"round {number + 1}: {json.dumps(samples[-1])}", file=sys.stderr)
        ended.set()
    return {
        **machine.describe(),
        "callers": CALLERS,
        "seconds": seconds,
        "count_one_us": count_one_us(),
        "rows": [
            row("calls a second, metrics on against off", samples, "per_s"),
            row("the worker's CPU time a call, on against off", samples, "worker_us"),
        ],
        "samples": samples,
    }


def row(what: str, samples: list[Sample], name: str) -> dict[str, Any]:
    """The ratios of one figure, round by round."""
    ratios = [sample["on"][name] / sample["off"][name] for sample in samples]
    return {"what": what, "value": median(ratios), "lowest": min(ratios), "highest": max(ratios)}


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.observe_cost")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    result = run(options.rounds, options.seconds)
    for found in result["rows"]:
        text = f"{found['value']:.3f} ({found['lowest']:.3f} to {found['highest']:.3f})"
        print(f"{found['what']}: {text}")
    print(f"counting one request: {result['count_one_us']:.1f} us")
    path = ROOT / "benchmarks" / "results" / f"observe-cost-{result['commit']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
