"""What guess limits and the audit log cost the fast lane.

    python -m benchmarks.guard_cost

Two services stand side by side, each with a broker, one worker and 64 asyncio callers in one client
process; one worker limits guesses and writes an audit log, the other does neither. Rounds
alternate between them. Each call is about a user of its own, the dearest case. Ratios are
taken round by round, of calls a second and of the worker's CPU time a call. The result is kept
under `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import machine
from benchmarks.contenders import ROOT
from benchmarks.stage import Stage, stop
from caas_cli import measure
from producer_client import AsyncClient

CALLERS: Final = 64
BAR: Final = 0.85
WARM_S: Final = 2.0
Sample = dict[str, float]


class Side:
    """One service and its callers.

    Args:
        guards: the worker's settings.
    """

    def __init__(self, exits: ExitStack, folder: Path, guards: dict[str, str]) -> None:
        folder.mkdir()
        stage = exits.enter_context(Stage(folder, "unix"))
        env = {**stage.env, "CAAS_HOME": str(folder / "home"), **guards}
        self._worker = self._start(exits, env, "caas_cli", "worker", "--quiet", "--lane=fast")
        stage.wait_for_consumers(1)
        self._callers = self._start(exits, env, "benchmarks.guard_cost", "--callers")
        self.measure(WARM_S)

    def _start(
        self, exits: ExitStack, env: dict[str, str], *command: str
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        exits.callback(stop, process)
        return process

    def measure(self, seconds: float) -> Sample:
        """Calls a second, and the worker's CPU time a call."""
        if self._callers.stdin is None or self._callers.stdout is None:
            raise RuntimeError("The callers have no pipes.")
        before = cpu_s(self._worker.pid)
        self._callers.stdin.write(b"%f\n" % seconds)
        self._callers.stdin.flush()
        answer = json.loads(self._callers.stdout.readline())
        if answer["failed"]:
            raise RuntimeError("Calls failed.")
        used = cpu_s(self._worker.pid) - before
        return {"per_s": answer["per_s"], "worker_us": 1e6 * used / answer["all_calls"]}


def cpu_s(pid: int) -> float:
    """CPU time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def callers() -> None:
    """The callers' process: a line in with how long, a line out with what came of it."""
    source = random.Random(1)
    users = (str(uuid.UUID(int=source.getrandbits(128))) for _ in itertools.count())
    async with AsyncClient.from_env() as client:
        for line in sys.stdin:
            rate = await measure.async_rate(
                lambda: client.encrypt(next(users), "example sensitive data"), CALLERS, float(line)
            )
            sys.stdout.write(json.dumps({**rate.to_dict(), "failed": rate.failed}) + "\n")
            sys.stdout.flush()


def run(rounds: int, seconds: float) -> dict[str, Any]:
    """All rounds, and their ratios."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="caas-")))
        audit = str(folder / "audit")
        guards = {"CAAS_GUESS_LIMITS": "on", "CAAS_AUDIT_DIR": audit}
        sides = {
            "off": Side(exits, folder / "a", {"CAAS_GUESS_LIMITS": "off"}),
            "on": Side(exits, folder / "b", guards),
        }
        samples: list[dict[str, Sample]] = []
        for number in range(rounds):
            # Each comes first in turn: what a round leaves behind falls on both.
            names = ("off", "on") if number % 2 else ("on", "off")
            sample = {name: sides[name].measure(seconds) for name in names}
            samples.append(sample)
            print(f"round {number + 1}: {json.dumps(sample)}", file=sys.stderr)
    return {
        **machine.describe(),
        "callers": CALLERS,
        "seconds": seconds,
        "rows": rows(samples),
        "samples": samples,
    }


def rows(samples: list[dict[str, Sample]]) -> list[dict[str, Any]]:
    """The ratios, on against off, and the bar."""
    rates = [sample["on"]["per_s"] / sample["off"]["per_s"] for sample in samples]
    costs = [sample["on"]["worker_us"] / sample["off"]["worker_us"] for sample in samples]
    return [
        {
            "what": "calls a second, guess limits and audit log on against off",
            "value": median(rates),
            "lowest": min(rates),
            "highest": max(rates),
            "bar": BAR,
            "holds": median(rates) >= BAR,
        },
        {
            "what": "the worker's CPU time a call, on against off",
            "value": median(costs),
            "lowest": min(costs),
            "highest": max(costs),
        },
    ]


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard_cost")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--callers", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.callers:
        asyncio.run(callers())
        return
    result = run(options.rounds, options.seconds)
    for row in result["rows"]:
        print(f"{row['what']}: {row['value']:.3f} ({row['lowest']:.3f} to {row['highest']:.3f})")
    path = ROOT / "benchmarks" / "results" / f"guard-cost-{result['commit']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
