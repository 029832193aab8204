"""`caas capacity`: figures from a file, each fault in one line."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from caas_cli.bench import FORMAT
from caas_cli.capacity import Figures
from caas_cli.capacity_commands import read_figures
from caas_cli.exit_codes import ExitCode, UsageError
from caas_cli.main import app

FIGURES = Figures(0.6, 300.0, 40.0, 120.0, 65_536, 92_160, 3_000)
MEASURED: dict[str, Any] = {"format": FORMAT, "figures": asdict(FIGURES)}


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as end:
        app(["capacity", "--calls-per-s", "5000", *args])
    return int(end.value.code or 0)


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    path = tmp_path / "figures.json"
    path.write_text(json.dumps(MEASURED))
    return path


def test_plan_is_shown(figures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person sees workers, brokers and memory."""
    assert run("--password-share", "0.02", "--figures", str(figures)) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "fast workers        3 (49% busy)" in shown
    assert "18 cores (67% busy), 18 hashes at once" in shown


def test_json_holds_figures_and_plan(figures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script gets what was planned with, and the plan."""
    assert run("--json", "--figures", str(figures)) == ExitCode.OK
    printed = json.loads(capsys.readouterr().out)
    assert printed["figures"] == MEASURED["figures"]
    assert printed["plan"]["fast_workers"] == 3


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        ([], "not figures in the form"),
        ({**MEASURED, "format": "caas-bench/99"}, "not figures in the form"),
        ({"format": FORMAT}, "not measured there: lone_call_ms"),
        ({"format": FORMAT, "figures": {**asdict(FIGURES), "broker_us": None}}, "broker_us"),
        ({"format": FORMAT, "figures": {**asdict(FIGURES), "broker_us": "4"}}, "broker_us"),
    ],
)
def test_figures_of_another_form_are_refused(measured: object, reason: str) -> None:
    """What was not measured is named, and nothing is planned with it."""
    with pytest.raises(UsageError, match=reason):
        read_figures(measured)


@pytest.mark.parametrize(("content", "reason"), [("{", "is not JSON"), (None, "cannot be read")])
def test_file_that_cannot_be_used_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, reason: str
) -> None:
    """A missing or broken file ends the command with a usage error."""
    path = tmp_path / "figures.json"
    if content is not None:
        path.write_text(content)
    assert run("--figures", str(path)) == ExitCode.USAGE
    assert reason in capsys.readouterr().err


def test_target_out_of_range_is_refused_before_measuring(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is started for a target that means nothing."""
    assert run("--password-share", "2") == ExitCode.USAGE
    assert "between 0 and 1" in capsys.readouterr().err
