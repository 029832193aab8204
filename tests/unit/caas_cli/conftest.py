"""Fixtures of the command line's tests: a home of the test's own, and a command run in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from caas_cli.home import Home
from caas_cli.init import InitRequest, init
from caas_cli.main import app

Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home that the environment names, not made yet; no other setting is there."""
    for name in os.environ:
        if name.startswith("CAAS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CAAS_HOME", str(tmp_path / "home"))
    return Home.from_env()


@pytest.fixture
def made(home: Home) -> Home:
    """A home with an installation in it."""
    init(home, InitRequest())
    return home


@pytest.fixture
def run(home: Home) -> Run:
    """Run `caas` with arguments, in this process."""

    def call(*args: str, **options: Any) -> Result:
        return CliRunner().invoke(app, list(args), **options)

    return call
