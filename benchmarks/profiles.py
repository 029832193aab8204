"""py-spy profiles of client and worker at full load; the functions that cost most, as a table.

    python -m benchmarks.profiles [--seconds 5] [--contender caas]

Samples are of threads that hold the interpreter, so that waiting counts for nothing. py-spy stops a
process most readily as it comes back from the kernel: a line that makes a system call looks dearer
than it is, such as `asyncio.get_running_loop`, which asks for the process id in Python 3.11.

Needs the right to trace its own children (root, or `kernel.yama.ptrace_scope=0`). Writes the
collapsed stacks, which any flame graph program reads, to `benchmarks/.partial/`.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

from benchmarks import environments
from benchmarks.contenders import BY_NAME, ROOT
from benchmarks.stage import Stage

PROFILER: Final = "profiler"
SAMPLES_PER_S: Final = 500
TOP: Final = 24
SHOWN: Final = ("producer_client/", "caas_tasks/", "worker/", "kombu/", "redis/")
LOADS: Final[dict[str, dict[str, Any]]] = {
    "one caller, threads": {"what": "latency"},
    "64 callers, asyncio": {"what": "asyncio", "callers": 64},
    "64 callers, threads": {"what": "threads", "callers": 64},
    "512 callers, asyncio": {"what": "asyncio", "callers": 512},
}
FOLDER: Final = ROOT / "benchmarks" / ".partial"


def record(pid: int, seconds: float, path: Path) -> subprocess.Popen[bytes]:
    """Start sampling a process."""
    program = environments.VENVS / PROFILER / "bin" / "py-spy"
    options = ("--format", "raw", "--rate", str(SAMPLES_PER_S), "--duration", f"{seconds:.0f}")
    command = [str(program), "record", *options, "--gil", "--pid", str(pid)]
    return subprocess.Popen(
        [*command, "--output", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def costs(path: Path) -> tuple[Counter[str], Counter[str], int]:
    """Samples by function: spent in it alone, spent in it and what it calls; and all samples."""
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    total = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        if not count.isdecimal():  # a name of the process with a line's end in it
            continue
        frames = [_function(frame) for frame in stack.split(";")]
        alone[frames[-1]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
        total += int(count)
    return alone, within, total


def _function(frame: str) -> str:
    name, _, place = frame.rpartition(" (")
    file = place.rpartition(":")[0].split("site-packages/")[-1].removeprefix(f"{ROOT}/")
    return f"`{name}` {file}"


def table(path: Path) -> str:
    """The functions that cost most of one profile, with what they call."""
    alone, within, total = costs(path)
    found = [name for name, _ in within.most_common() if name.rpartition(" ")[2].startswith(SHOWN)]
    lines = ["| function | with what it calls | alone |", "|---|---|---|"]
    lines += [
        f"| {name} | {within[name] / total:.0%} | {alone[name] / total:.0%} |"
        for name in found[:TOP]
    ]
    return "\n".join(lines)


def main() -> None:
    """Profile both sides under each load."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--contender", default="caas")
    parser.add_argument("--load", choices=list(LOADS), action="append")
    options = parser.parse_args()
    environments.make([PROFILER], print)
    FOLDER.mkdir(exist_ok=True)
    contender = BY_NAME[options.contender]
    with (
        tempfile.TemporaryDirectory(prefix="caas-bench-") as folder,
        Stage(Path(folder), "unix") as stage,
        stage.serve(contender) as served,
        served.callers() as callers,
    ):
        for load in options.load or LOADS:
            callers.ask({**LOADS[load], "seconds": options.seconds + 1})
            sides = {"client": callers.pid, "worker": served.pids[0]}
            paths = {side: FOLDER / f"{side}-{load.replace(' ', '-')}.txt" for side in sides}
            under_way = [record(pid, options.seconds, paths[side]) for side, pid in sides.items()]
            for process in under_way:
                process.wait()
            print(f"\n## {load}: {callers.answer()}")
            for side, path in paths.items():
                print(f"\n### {side}\n\n{table(path)}")


if __name__ == "__main__":
    main()
