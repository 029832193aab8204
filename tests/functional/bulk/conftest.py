"""Fixtures: `caas bulk` in a folder of the test's own, against the real operations in memory."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from caas_cli import requests
from caas_cli.main import app
from producer_client.testing import InMemoryService

FIVE = [(str(n), f"{n:08x}-0000-4000-8000-000000000000", f"value {n}") for n in range(5)]


class Folder:
    """CSV files in the test's folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(
        self,
        name: str,
        rows: Iterable[Sequence[str]] = FIVE,
        header: Sequence[str] = ("id", "user_uuid", "value"),
    ) -> Path:
        """Make a file; its path."""
        path = self._path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    def read(self, name: str) -> list[dict[str, str]]:
        """A file's rows."""
        with (self._path / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def names(self) -> set[str]:
        """What is there."""
        return {path.name for path in self._path.iterdir()} - {"home"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The folder that commands run in."""
    return Folder(tmp_path)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> InMemoryService:
    """The service that the command line asks."""
    made = InMemoryService()
    monkeypatch.setattr(requests, "client", lambda _home: made.client())
    monkeypatch.setenv("CAAS_API_KEY", made.api_key)
    monkeypatch.setenv("CAAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def run(service: InMemoryService) -> Callable[..., Result]:
    """Run `caas bulk` in the test's folder."""
    assert service

    def call(*args: str) -> Result:
        return CliRunner().invoke(app, ["bulk", *args])

    return call
