"""`caas init --compose`: private files, an `.env` without secrets, nothing overwritten."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from caas_cli import compose
from caas_cli.exit_codes import CommandError
from caas_cli.home import Home
from caas_cli.init import InitRequest
from caas_tasks.redis_url import parse_broker_url


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with the home in it, for a user who is not root."""
    for name in os.environ:
        if name.startswith("CAAS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAAS_HOME", str(tmp_path / ".caas"))
    monkeypatch.setattr(os, "getuid", lambda: 1_234)
    monkeypatch.setattr(os, "getgid", lambda: 5_678)
    return tmp_path


def test_files(place: Path) -> None:
    """The keystore has a folder of its own, and each user's address its file."""
    made = compose.init(Home.from_env(), InitRequest())
    folder = place / ".caas" / "compose"
    assert Home.from_env().keystore == place / ".caas" / "keystore" / "keystore.age"
    assert Home.from_env().keystore.exists()
    users = {
        part: parse_broker_url((folder / f"{part}-broker-url").read_text()).username
        for part in ("client", "worker", "monitor")
    }
    assert users == {"client": "caas-client", "worker": "caas-worker", "monitor": "caas-monitor"}
    assert made.client["CAAS_BROKER_URL"] == (folder / "client-broker-url").read_text()
    assert all(path.stat().st_mode & 0o077 == 0 for path in (place / ".caas").rglob("*"))


def test_environment_file(place: Path) -> None:
    """The containers run as the owner of the files; no secret stands there."""
    compose.init(Home.from_env(), InitRequest())
    text = (place / ".env").read_text()
    assert "CONTAINER_UID=1234\nCONTAINER_GID=5678\n" in text
    assert "rediss" not in text


def test_root_gives_the_files_away(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by root, the files are those of a plain user, but not the authority's key."""
    given: dict[str, tuple[int, int]] = {}

    def chown(path: Any, uid: int, gid: int) -> None:
        given[Path(path).name] = (uid, gid)

    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(os, "chown", chown)
    compose.init(Home.from_env(), InitRequest())
    assert set(given.values()) == {(10_001, 10_001)}
    assert {"keystore.age", "identity.txt", "worker.key", "redis"} <= set(given)
    assert not {"ca.key", "client.env", "recovery-identity.txt"} & set(given)


@pytest.mark.parametrize("there", [".env", ".caas/compose"])
def test_nothing_is_overwritten(place: Path, there: str) -> None:
    """With one of its files there already, nothing is made."""
    (place / there).mkdir(parents=True)
    before = sorted(place.rglob("*"))
    with pytest.raises(CommandError, match="exists already; nothing was changed"):
        compose.init(Home.from_env(), InitRequest())
    assert sorted(place.rglob("*")) == before
