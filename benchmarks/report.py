"""The tables of README.md and benchmarks/README.md, made from a stored result.

    python -m benchmarks.report benchmarks/results/comparison-<commit>.json

writes them between the markers of both files, and from `pools-<commit>.json` that of the pools.
`tests/docs/test_benchmark_tables.py` holds the files to the results that their markers name.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
_BLOCK: Final = re.compile(
    r"<!-- (?P<table>[a-z-]+) of (?P<result>[\w./+-]+\.json) -->\n(?P<text>.*?)<!-- end -->\n",
    re.DOTALL,
)
ENOUGH_ROUNDS: Final = 5
_PLOTTED: Final = "comparison"
_PLOT: Final = re.compile(r"results/comparison-[\w+]+(?P<ending>\.png|\.svg)")
Result = dict[str, Any]


def _shown(value: float, unit: str) -> str:
    if unit == "times":
        return f"{value:.2f} times" if value < 10 else f"{value:.0f} times"
    return f"{value:.2f} {unit}" if value < 10 else f"{value:.0f} {unit}"


def _ratio_row(row: Result, *, is_short: bool) -> str:
    against = f", against {row['against']}" if row["against"] else ""
    cells = [f"{row['what']}{against}", _shown(row["value"], row["unit"])]
    if not is_short:
        cells.append(f"{row['lowest']:.3g} to {row['highest']:.3g}")
    bar = f"{row['direction']} {row['bar']:g}"
    cells.append(bar if row["is_met"] else f"{bar}: **missed**")
    return "| " + " | ".join(cells) + " |"


def ratio_table(result: Result) -> str:
    """Every ratio with its spread over the rounds and its bar."""
    head = "| what | median | single rounds | bar |\n|---|---|---|---|"
    return "\n".join([head, *(_ratio_row(row, is_short=False) for row in result["rows"])])


def short_table(result: Result) -> str:
    """The README's: the ratios against other systems."""
    head = "| what | measured | bar |\n|---|---|---|"
    rows = [row for row in result["rows"] if row["unit"] == "times"]
    return "\n".join([head, *(_ratio_row(row, is_short=True) for row in rows)])


def _median(samples: Any, measurement: str, figure: str) -> float | None:
    taken = samples.get(measurement)
    return median(sample[figure] for sample in taken) if taken else None


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def contender_table(result: Result) -> str:
    """Absolute figures of every contender: latency of one caller, answers a second of many."""
    lines = [
        "| contender | callers | p50 ms | p90 | p99 | 8 callers/s | 64/s | 512/s |"
        " client CPU us | worker CPU us |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in result["peers"]:
        samples = result["samples"].get(name, {})
        for mode in ("threads", "asyncio"):
            if f"{mode}.1" not in samples:
                continue
            times = [_median(samples, f"{mode}.1", f"p{part}_ms") for part in (50, 90, 99)]
            rates = [_median(samples, f"{mode}.{callers}", "per_s") for callers in (8, 64, 512)]
            spent = [
                _median(samples, f"{mode}.64", f"{side}_cpu_us") for side in ("client", "worker")
            ]
            cells = [name, mode, *(_cell(value, ".2f") for value in times)]
            cells += [*(_cell(value, ",.0f") for value in rates)]
            cells += [*(_cell(value, ",.0f") for value in spent)]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def payload_table(result: Result) -> str:
    """Sizes of data from 32 bytes to 64 KiB, by asyncio callers."""
    sizes = (32, 1_024, 8_192, 65_536)
    lines = [
        "| contender | " + " | ".join(f"{size:,} B: p50 ms, 64 callers/s" for size in sizes) + " |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for name, samples in result["samples"].items():
        if f"payload.{sizes[-1]}.1" not in samples:
            continue
        cells = [name]
        for size in sizes:
            prefix = "asyncio" if size == sizes[0] else f"payload.{size}"
            p50_ms = _median(samples, f"{prefix}.1", "p50_ms")
            per_s = _median(samples, f"{prefix}.64", "per_s")
            cells.append(f"{_cell(p50_ms, '.2f')}, {_cell(per_s, ',.0f')}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def scaling_table(result: Result) -> str:
    """Many items at once, worker processes, client processes."""
    lines = ["| what | contender | answers/s | worker CPU us | failed |", "|---|---|---|---|---|"]
    names = {
        "many": "many items in one call",
        "processes.8": "8 client processes, one call at a time each",
        **{f"workers.{count}": f"512 callers, {count} workers" for count in (1, 2, 4)},
    }
    for measurement, what in names.items():
        for name, samples in result["samples"].items():
            if measurement not in samples:
                continue
            per_s = _median(samples, measurement, "per_s")
            is_timed = "worker_cpu_us" in samples[measurement][0]
            spent = _median(samples, measurement, "worker_cpu_us") if is_timed else None
            failed = sum(sample["failed"] for sample in samples[measurement])
            cells = [what, name, _cell(per_s, ",.0f"), _cell(spent, ",.0f"), str(failed)]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine_line(result: Result) -> str:
    """What was measured, where and when."""
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    return (
        f"Commit {result['commit']}, {result['at'][:10]}: {result['cores']} cores of"
        f" {result['processor']}, {result['memory_gib']} GiB, load {result['load_before']} before,"
        f" {result['system']}, Python"
        f" {result['python']}; {versions}. {result['rounds']} alternating rounds of"
        f" {result['seconds']} s a measurement over {result['transport']} sockets."
        f"{_warning(result)}"
    )


def _warning(result: Result) -> str:
    if result["rounds"] >= ENOUGH_ROUNDS and result["load_before"] <= result["cores"]:
        return ""
    return " **A short run or a busy machine: it shows that all runs, and measures nothing.**"


def pools_table(result: Result) -> str:
    """Which pool suits which lane."""
    from benchmarks import pools

    return pools.table(result["samples"])


TABLES: Final[dict[str, Callable[[Result], str]]] = {
    "short-table": short_table,
    "ratio-table": ratio_table,
    "contender-table": contender_table,
    "payload-table": payload_table,
    "scaling-table": scaling_table,
    "pools-table": pools_table,
    "machine": machine_line,
}
PAGES: Final = (ROOT / "README.md", ROOT / "benchmarks" / "README.md")


def rendered(page: str, result: str | None = None) -> str:
    """A page with its tables made anew.

    Args:
        page: Markdown with blocks between `<!-- TABLE of RESULT -->` and `<!-- end -->`.
        result: path of a stored result under `benchmarks/`, instead of those that the page names.
    """

    def block(match: re.Match[str]) -> str:
        name = match["result"]
        if result is not None and _kind(result) == _kind(name):
            name = result
        stored: Result = json.loads((ROOT / "benchmarks" / name).read_text(encoding="utf-8"))
        text = TABLES[match["table"]](stored)
        return f"<!-- {match['table']} of {name} -->\n{text}\n<!-- end -->\n"

    if result is not None and _kind(result) == _PLOTTED:
        plot = result.removesuffix(".json")
        page = _PLOT.sub(lambda match: plot + match["ending"], page)
    return _BLOCK.sub(block, page)


def _kind(result: str) -> str:
    return Path(result).name.partition("-")[0]


def main() -> None:
    """Write the tables of both pages from one result."""
    name = Path(sys.argv[1]).resolve().relative_to(ROOT / "benchmarks").as_posix()
    for page in PAGES:
        page.write_text(rendered(page.read_text(encoding="utf-8"), name), encoding="utf-8")


if __name__ == "__main__":
    main()
