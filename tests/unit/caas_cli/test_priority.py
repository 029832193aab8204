"""Standing back: within a session by the nice value, as a session by its group's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from caas_cli import priority


@pytest.fixture
def niced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the process's own value was raised by."""
    values: list[int] = []
    monkeypatch.setattr(os, "nice", values.append)
    return values


@pytest.mark.parametrize(("leader", "written"), [(True, "7"), (False, None)])
def test_a_session_of_its_own_stands_back_as_a_whole(
    niced: list[int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    leader: bool,
    written: str | None,
) -> None:
    """A session that others share keeps its place; only the process stands back in it."""
    group = tmp_path / "autogroup"
    monkeypatch.setattr(priority, "AUTOGROUP", group)
    monkeypatch.setattr(os, "getsid", lambda _pid: os.getpid() if leader else 1)
    priority.stand_back(7)
    assert niced == [7]
    assert (group.read_text() if group.exists() else None) == written


def test_a_kernel_without_groups_is_no_fault(
    niced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file is missing or closed, the nice value has to do."""
    monkeypatch.setattr(priority, "AUTOGROUP", Path("/nowhere/autogroup"))
    monkeypatch.setattr(os, "getsid", lambda _pid: os.getpid())
    priority.stand_back(7)
    assert niced == [7]
