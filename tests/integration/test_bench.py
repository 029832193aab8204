"""`caas bench` on a service that it starts itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caas_cli import bench, bench_commands
from caas_cli.home import Home

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run with the shortest measurements."""
    folder: Path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "QUICK", bench.Scale(seconds=0.01, many_items=1_000))
        patch.setattr(bench, "CALLERS", (1, 8))
        home = Home(folder, folder / "keystore.age", folder / "identity.txt")
        return bench_commands.run(home, quick=True, own=True)


def test_every_call_is_answered(result: Any) -> None:
    """No measurement counts a failed call."""
    taken = [*result["throughput"], result["encrypt_many"]]
    taken += [each for size in result["payloads"] for each in (size["alone"], size["callers_64"])]
    assert {each["failed"] for each in taken} == {0}


def test_both_kinds_of_callers_are_measured(result: Any) -> None:
    """Threads and tasks, alone and together."""
    found = {(each["mode"], each["callers"]) for each in result["throughput"]}
    assert found == {("threads", 1), ("threads", 8), ("asyncio", 1), ("asyncio", 8)}


def test_workers_tell_their_cpu(result: Any) -> None:
    """Celery's remote control answers for the one worker."""
    assert result["service"]["workers"] >= 1
    assert result["encrypt_many"]["worker_cpu_us"] is not None


def test_capacity_gets_its_figures(result: Any) -> None:
    """Each of them could be measured here."""
    assert [name for name, value in result["figures"].items() if not value] == []
