"""`caas init --compose`: private files, an `.env` without secrets, nothing overwritten."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from caas_cli import client_env, compose, service_keys
from caas_cli.exit_codes import CommandError, UsageError
from caas_cli.home import Home
from caas_cli.init import InitRequest
from caas_tasks.errors import ConfigurationError
from caas_tasks.redis_url import parse_broker_url
from worker.keystore import file


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


def secrets_of(home: Home) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in compose.folder(home).iterdir()}


def test_renewal_replaces_every_secret_and_no_key(place: Path) -> None:
    """Authority, certificates and passwords are new, `client.env` follows, keys and `.env` stay."""
    compose.init(Home.from_env(), InitRequest())
    home, env_file = Home.from_env(), (place / ".env").read_bytes()
    before, keystore = secrets_of(home), home.keystore.read_bytes()
    changes = compose.renew(home, datetime.now(UTC))
    after = secrets_of(home)
    same = {name for name in before if before[name] == after.get(name)}
    assert (before.keys() == after.keys(), same) == (True, {"server-key", "grafana-password"})
    assert (home.keystore.read_bytes(), (place / ".env").read_bytes()) == (keystore, env_file)
    assert client_env.read(home.client_env).items() >= changes.items()
    assert all(path.stat().st_mode & 0o077 == 0 for path in compose.folder(home).iterdir())


def test_renewal_says_no_secret(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What to do next is said, the new passwords are not."""
    compose.init(Home.from_env(), InitRequest())
    home = Home.from_env()
    compose.show_renewed(home, is_compose=True, as_json=True)
    compose.show_renewed(home, is_compose=True, as_json=False)
    shown = "".join(capsys.readouterr())
    assert "--force-recreate" in shown
    assert secrets_of(home)["monitor-password"].decode() not in shown


def test_renewal_without_an_installation(place: Path) -> None:
    """There is nothing to renew where no installation for containers is."""
    with pytest.raises(CommandError):
        compose.renew(Home.from_env(), datetime.now(UTC))
    with pytest.raises(UsageError):
        compose.show_renewed(Home.from_env(), is_compose=False, as_json=False)


def test_renewal_that_cannot_be_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is one line; doing it again makes a whole set."""
    compose.init(Home.from_env(), InitRequest())
    home = Home.from_env()

    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(file, "write_private", full)
        with pytest.raises(ConfigurationError):
            compose.renew(home, datetime.now(UTC))
    compose.renew(home, datetime.now(UTC))


def test_rotated_service_key_reaches_the_gateways_secret(place: Path) -> None:
    """What containers are given is brought up to date like client.env."""
    compose.init(Home.from_env(), InitRequest())
    home = Home.from_env()
    service_keys.rotate(home, retire_old=True, dry_run=False)
    given = client_env.read(home.client_env)[client_env.SERVER_KEY]
    assert home.gateway_server_key.read_text() == given
    (_, new) = service_keys.list_all(home)
    assert new["server_key"] == given
