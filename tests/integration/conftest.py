"""Fixtures: a real broker with a real worker, shared where nothing is broken."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

# Test folders are no packages; the rig is one, and the child processes import it by the same name.
sys.path.insert(0, str(Path(__file__).parent))

from rig.hold import Hold
from rig.stack import Stack

from producer_client import Client


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service with one worker that is ready. Tests leave it as they found it."""
    with Stack(tmp_path_factory.mktemp("stack")) as shared:
        shared.start_worker()
        shared.wait_until_ready()
        yield shared


@pytest.fixture(scope="session")
def client(stack: Stack) -> Client:
    """A client of the shared service."""
    return stack.client(timeout_s=30)


@pytest.fixture
def new_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    """Makes services of a test's own, without workers."""
    with ExitStack() as exits:

        def make(**keystore: Any) -> Stack:
            return exits.enter_context(Stack(tmp_path_factory.mktemp("own"), **keystore))

        yield make


@pytest.fixture
def hold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hold]:
    """Holds an operation in a worker; pass it `hold.env` and the plugin `rig.plugins.hold`."""
    made = Hold(tmp_path_factory.mktemp("hold"))
    yield made
    made.close()
