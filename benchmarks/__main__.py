"""The comparison, by one command: environments, rounds, table, plot, JSON.

    make bench                                # all of it: about 20 minutes on two cores
    make bench ARGS=--quick                   # one short round, to see that all runs
    python -m benchmarks --only caas,celery   # some contenders

A whole run is kept as `benchmarks/results/comparison-<commit>.json`, PNG and SVG; the tables of the
READMEs are made of it by `make bench-tables RESULT=…` (see `benchmarks/report.py`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks import bars, environments, machine, report
from benchmarks.contenders import CONTENDERS, ROOT
from benchmarks.plan import Scale
from benchmarks.rounds import Run
from benchmarks.stage import Stage

RESULTS: Final = ROOT / "benchmarks" / "results"
PLOT: Final = "plot"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help="alternating rounds; 5 when not given")
    parser.add_argument("--seconds", type=float, help="of one measurement")
    parser.add_argument("--only", default="", help="contenders, separated by commas")
    parser.add_argument("--transport", choices=("unix", "tcp"), default="unix")
    parser.add_argument("--output", type=Path, help="the JSON file, instead of one in results/")
    return parser.parse_args()


def _scale(options: argparse.Namespace) -> Scale:
    names = tuple(contender.name for contender in CONTENDERS)
    if options.only:
        wanted = options.only.split(",")
        if unknown := set(wanted) - set(names):
            raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
        names = tuple(name for name in names if name in wanted)
    rounds, seconds, share = (1, 0.3, 0.05) if options.quick else (5, 0.7, 1.0)
    return Scale(options.rounds or rounds, options.seconds or seconds, share, names)


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Measure, keep, draw, print. 1 when something could not be measured."""
    options = _options()
    scale = _scale(options)
    environments.make(
        [name for name in environments.folders() if name in {*scale.names, PLOT}], _say
    )
    started = time.monotonic()
    described: dict[str, Any] = {**machine.describe(), "transport": options.transport}
    with (
        tempfile.TemporaryDirectory(prefix="caas-bench-") as folder,
        Stage(Path(folder), options.transport) as stage,
    ):
        run = Run(stage, scale, _say)
        run.carry_out()
    rows = bars.rows(run.samples)
    result = {
        **described,
        "rounds": scale.rounds,
        "seconds": scale.seconds,
        "took_s": round(time.monotonic() - started),
        "peers": {name: machine.versions_of(name) for name in scale.names},
        "problems": run.problems,
        "rows": [row.to_dict() for row in rows],
        "samples": run.samples,
    }
    is_whole = not (options.quick or options.only)
    path = options.output or _path(described["commit"], is_whole=is_whole)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(result), indent=1) + "\n", encoding="utf-8")
    draw(path)
    _say("\n" + report.ratio_table(result) + "\n\n" + report.contender_table(result))
    for problem in run.problems:
        _say(f"problem: {problem}")
    _say(f"\nkept in {path} and, drawn, beside it")
    return 1 if run.problems else 0


def _path(commit: str, *, is_whole: bool) -> Path:
    if is_whole:
        return RESULTS / f"comparison-{commit}.json"
    return ROOT / "benchmarks" / ".partial" / "comparison.json"  # in no commit


def draw(result: Path) -> None:
    """Draw a result as PNG and SVG beside it, in the plot's own environment."""
    python = str(environments.python_of(PLOT))
    subprocess.run([python, "-m", "benchmarks.plot.draw", str(result)], cwd=ROOT, check=True)


def _rounded(value: Any) -> Any:
    """Four digits are more than a noisy machine tells."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
