"""Tests of what operators run; `make ops` installs what they need."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Test folders are no packages; the rigs are.
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).parent))

from ops_rig.guide import NewScene, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[NewScene]:
    """Makes the scene of a section; in the end all its commands must have been run."""
    made: list[Scene] = []

    def make(section: str) -> Scene:
        made.append(Scene(tmp_path, section))
        return made[-1]

    yield make
    for each in made:
        each.close()
        assert each.not_run() == []
