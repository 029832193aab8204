"""The tables of README.md and benchmarks/README.md are what a stored result makes of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

# The benchmark is a program of the clone, not an installed package.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import bars, report

ROOT = report.ROOT


@pytest.mark.parametrize("page", report.PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_tables_are_those_of_the_stored_result(page: Path) -> None:
    """Nobody edits a figure by hand: `make bench-tables RESULT=…` writes them."""
    text = page.read_text(encoding="utf-8")
    assert "<!-- end -->" in text
    assert report.rendered(text) == text


def _samples(**per_s: float) -> dict[str, dict[str, list[dict[str, Any]]]]:
    return {
        name: {"asyncio.64": [{"per_s": rate}], "threads.64": [{"per_s": rate / 2}]}
        for name, rate in per_s.items()
    }


def test_the_better_of_threads_and_tasks_counts() -> None:
    """Each contender is taken in its fastest setting."""
    rows = bars.rows(_samples(caas=300.0, celery=10.0))
    assert [(row.value, row.is_met) for row in rows] == [(30.0, True)]


def test_the_fastest_queue_is_the_one_to_beat() -> None:
    """A slow peer makes no bar."""
    rows = bars.rows(_samples(caas=79.0, dramatiq=10.0, rq=1.0))
    assert [(row.against, row.value, row.is_met) for row in rows] == [
        ("dramatiq (asyncio)", 7.9, False)
    ]


def test_a_missed_bar_is_said() -> None:
    """The table shows which figures fall short."""
    rows = [row.to_dict() for row in bars.rows(_samples(caas=20.0, starlette=10.0))]
    assert "at least 3: **missed**" in report.short_table({"rows": rows})


def test_stored_rows_are_those_of_the_stored_samples() -> None:
    """A result's ratios can be computed again from what was measured."""
    for path in sorted((ROOT / "benchmarks" / "results").glob("comparison-*.json")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        found = {row.what: row.value for row in bars.rows(stored["samples"])}
        kept = {row["what"]: row["value"] for row in stored["rows"]}
        assert found == pytest.approx(kept, rel=0.01)
