"""Draws a stored result as PNG and SVG beside it.

Started in the plot's environment as `python -m benchmarks.plot.draw RESULT.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.contenders import BY_NAME

OURS = "#1b6ca8"
PEERS = "#b8b8b8"
# The same result gives the same file.
SVG = {"svg.hashsalt": "caas", "svg.fonttype": "none", "font.size": 9}


def best(samples: dict[str, Any], callers: int, figure: str) -> float | None:
    """The better of threads and asyncio: the median of its rounds."""
    found = [
        median(sample[figure] for sample in samples[f"{mode}.{callers}"])
        for mode in ("threads", "asyncio")
        if f"{mode}.{callers}" in samples
    ]
    if not found:
        return None
    return min(found) if figure == "p50_ms" else max(found)


def bars(axes: Any, values: dict[str, float], title: str, form: str, *, is_less: bool) -> None:
    """One panel: horizontal bars on a logarithmic scale, the best on top."""
    names = sorted(values, key=lambda name: values[name], reverse=is_less)
    colours = [OURS if name in {"caas", "gateway"} else PEERS for name in names]
    drawn = axes.barh([BY_NAME[name].title for name in names], [values[n] for n in names],
                      color=colours)  # fmt: skip
    axes.bar_label(drawn, labels=[format(values[name], form) for name in names], padding=3)
    axes.set_xscale("log")
    axes.margins(x=0.2)
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Read, draw, write."""
    path = Path(sys.argv[1])
    result = json.loads(path.read_text(encoding="utf-8"))
    panels = (
        ("one caller: p50, ms (less is better)", 1, "p50_ms", ".2f", True),
        ("64 callers in one process: answers a second", 64, "per_s", ",.0f", False),
        ("512 callers in one process: answers a second", 512, "per_s", ",.0f", False),
    )
    mpl.use("agg")
    mpl.rcParams.update(SVG)
    figure, all_axes = plt.subplots(len(panels), 1, figsize=(8, 11), layout="constrained")
    for axes, (title, callers, name, form, is_less) in zip(all_axes, panels, strict=True):
        found = {
            contender: best(samples, callers, name)
            for contender, samples in result["samples"].items()
            if contender in BY_NAME
        }
        values = {contender: value for contender, value in found.items() if value is not None}
        bars(axes, values, title, form, is_less=is_less)
    figure.suptitle(
        f"One worker process, {result['cores']} cores, {result['processor']}, commit"
        f" {result['commit']}, {result['at'][:10]}", fontsize=9
    )  # fmt: skip
    for kind in ("png", "svg"):
        figure.savefig(path.with_suffix(f".{kind}"), dpi=110, metadata={"Date": None}
                       if kind == "svg" else None)  # fmt: skip


if __name__ == "__main__":
    main()
