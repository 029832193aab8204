"""`caas bulk encrypt` of a CSV file against `encrypt_many` of the same pairs, in one run.

    .venv/bin/python -m benchmarks.bulk_rate                  # a million rows, five rounds
    .venv/bin/python -m benchmarks.bulk_rate --rows 100000

One broker and one worker process for both; rounds alternate. Every row has a user of its own, but
for one in the middle whose UUID is none. The whole command counts, from its start to its end:
Python's start, reading, asking, writing and flushing. `encrypt_many` counts alone, its pairs in a
list beforehand. Prints a table and keeps JSON in `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import machine
from benchmarks.contenders import BY_NAME, ROOT
from benchmarks.stage import Stage, cpu_s, rss_bytes
from producer_client import Client, Encrypted

RESULTS: Final = ROOT / "benchmarks" / "results"
SAMPLE_S: Final = 0.25
MIB: Final = 2**20
AT_LEAST: Final = 0.8
"""Of `encrypt_many`'s rate."""

MOST_MIB: Final = 200


def write_rows(path: Path, rows: int) -> int:
    """A seeded CSV file of distinct users; the number of its bad row, from 1."""
    source = random.Random(1)
    bad = rows // 2
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "user_uuid", "value"))
        for number in range(1, rows + 1):
            digits = f"{source.getrandbits(128):032x}"
            user = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
            value = f"{number:08d}".ljust(32, "x")
            writer.writerow((number, "not-a-uuid" if number == bad else user, value))
    return bad


def many(path: Path) -> dict[str, Any]:
    """`encrypt_many` of a file's pairs, in this process."""
    with path.open(newline="", encoding="utf-8") as file:
        pairs = [(row["user_uuid"], row["value"]) for row in csv.DictReader(file)]
    with Client.from_env() as client:
        client.ping(timeout_s=30)
        cpu_before, started = time.process_time(), time.perf_counter()
        results = client.encrypt_many(pairs)
        took_s = time.perf_counter() - started
        cpu_s = time.process_time() - cpu_before
    right = sum(isinstance(result, Encrypted) for result in results)
    return {"per_s": len(pairs) / took_s, "right": right, "client_cpu_s": cpu_s}


def bulk(source: Path, output: Path, env: dict[str, str]) -> dict[str, Any]:
    """`caas bulk encrypt` in a process of its own, its memory watched."""
    output.unlink(missing_ok=True)
    failures = output.with_name(output.name + ".failures.csv")
    failures.unlink(missing_ok=True)
    started = time.perf_counter()
    command = [sys.executable, "-m", "caas_cli", "bulk", "encrypt", str(source), str(output)]
    process = subprocess.Popen(
        [*command, "--json", "--report-every", "5"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    samples: list[int] = []
    watcher = threading.Thread(target=_watch, args=(process.pid, samples))
    watcher.start()
    shown = process.stdout.read() if process.stdout is not None else ""
    _, status, usage = os.wait4(process.pid, 0)
    took_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join()
    report = json.loads(shown)
    quarter = max(1, len(samples) // 4)
    return {
        "per_s": report["rows"] / took_s,
        "exit_code": process.returncode,
        "rows": report["rows"],
        "failed": report["failed"],
        "failures": failures.read_text(encoding="utf-8").splitlines()[1:],
        "client_cpu_s": usage.ru_utime + usage.ru_stime,
        "most_mib": usage.ru_maxrss * 1024 / MIB,
        "mib_by_quarter": [
            max(samples[start : start + quarter]) / MIB
            for start in range(0, len(samples) - quarter + 1, quarter)
        ][:4],
    }


def _watch(pid: int, samples: list[int]) -> None:
    while True:
        try:
            samples.append(rss_bytes(pid))
        except (OSError, IndexError):
            return
        if samples[-1] == 0:  # it has ended and waits to be taken note of
            samples.pop()
            return
        time.sleep(SAMPLE_S)


def measure(rows: int, rounds: int) -> dict[str, Any]:
    """All rounds."""
    with tempfile.TemporaryDirectory() as name, Stage(Path(name), "unix") as stage:
        folder = Path(name)
        source, output = folder / "in.csv", folder / "out.csv"
        bad = write_rows(source, rows)
        found: list[dict[str, Any]] = []
        with stage.serve(BY_NAME["caas"]) as served:
            for number in range(rounds):
                before = cpu_s(served.pids)
                line = subprocess.run(
                    [sys.executable, "-m", "benchmarks.bulk_rate", "--many", str(source)],
                    cwd=ROOT,
                    env=stage.env,
                    check=True,
                    capture_output=True,
                    text=True,
                )
                between = cpu_s(served.pids)
                one = {"many": json.loads(line.stdout), "bulk": bulk(source, output, stage.env)}
                one["many"]["worker_cpu_s"] = between - before
                one["bulk"]["worker_cpu_s"] = cpu_s(served.pids) - between
                found.append(one)
                print(f"round {number + 1}: {one['bulk']['per_s'] / one['many']['per_s']:.2f}")
    return {"rows": rows, "bad_row": bad, "rounds": found}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk_rate", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--many", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.many is not None:
        print(json.dumps(many(options.many)))
        return
    result = measure(options.rows, options.rounds)
    result["ratio"] = median(r["bulk"]["per_s"] / r["many"]["per_s"] for r in result["rounds"])
    result["most_mib"] = max(r["bulk"]["most_mib"] for r in result["rounds"])
    result["machine"] = machine.describe()
    result["load_at_end"] = os.getloadavg()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"bulk-rate-{result['machine']['commit']}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print("| what | measured | bar |\n|---|---|---|")
    print(
        f"| `caas bulk encrypt` of {options.rows:,} rows, against `encrypt_many` "
        f"| {result['ratio']:.2f} times | at least {AT_LEAST} |"
    )
    print(f"| its memory at most | {result['most_mib']:.0f} MiB | under {MOST_MIB} MiB |")
    for one in result["rounds"]:
        quarters = ", ".join(f"{mib:.0f}" for mib in one["bulk"]["mib_by_quarter"])
        print(
            f"bulk {one['bulk']['per_s']:,.0f}/s, encrypt_many {one['many']['per_s']:,.0f}/s, "
            f"MiB by quarter of the run: {quarters}"
        )
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
