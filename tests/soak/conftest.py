"""Fixtures of the soak tests: minutes of faults on the rig of the integration tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

# The rig is a package of the integration tests; child processes import it by the same name.
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from rig.stack import Stack


@pytest.fixture
def new_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    """Makes services of a test's own, without workers."""
    with ExitStack() as exits:

        def make(**options: Any) -> Stack:
            return exits.enter_context(Stack(tmp_path_factory.mktemp("soak"), **options))

        yield make


@pytest.fixture
def seed() -> int:
    """What a run's faults and calls are made of; `SOAK_SEED` asks for another run."""
    return int(os.environ.get("SOAK_SEED", "1"))


@pytest.fixture
def duration_s() -> float:
    """How long a run with faults goes on; `SOAK_SECONDS` asks for a longer one."""
    return float(os.environ.get("SOAK_SECONDS", "60"))


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Writes a line that is seen even though the test passes."""

    def write(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}\n")

    return write
