"""`caas flower`: no login, no Flower; and what stands in front of every page."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from caas_cli import client_env, flower
from caas_cli.exit_codes import CommandError, ExitCode
from caas_cli.home import Home
from caas_tasks.errors import ConfigurationError
from caas_tasks.settings import load_settings

URL = "redis://127.0.0.1:6379/0"
PASSWORD = "a-password-of-this-test"


@pytest.fixture(autouse=True)
def _environment(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the code under test adds to the environment goes with the test.
    for name in (flower.USER, flower.PASSWORD, client_env.BROKER_URL):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("CAAS_BROKER_URL", URL)


def test_without_a_password_it_does_not_start(home: Home, run: Any) -> None:
    """There is no default login: where none is set and none can be made, it refuses."""
    done = run("flower")
    assert done.exit_code == ExitCode.CONFIGURATION
    assert "CAAS_FLOWER_PASSWORD: is not set." in done.stderr


def test_an_installation_gets_a_login_of_its_own(made: Home) -> None:
    """The first start makes a random password, in a private file."""
    flower.fill_login(made)
    values = client_env.read(made.flower_env)
    assert os.environ[flower.PASSWORD] == values[flower.PASSWORD]
    assert len(values[flower.PASSWORD]) >= 32
    assert made.flower_env.stat().st_mode & 0o777 == 0o600


def test_a_login_is_made_once(made: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next start has the same one."""
    flower.fill_login(made)
    first = made.flower_env.read_bytes()
    monkeypatch.delenv(flower.PASSWORD)
    flower.fill_login(made)
    assert made.flower_env.read_bytes() == first


def test_the_environments_login_wins(made: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a password is set, none is made."""
    monkeypatch.setenv(flower.PASSWORD, PASSWORD)
    flower.fill_login(made)
    assert not made.flower_env.exists()


def test_the_password_is_not_printed(made: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed names the file alone."""
    flower.fill_login(made)
    said = "".join(capsys.readouterr())
    assert str(made.flower_env) in said
    assert os.environ[flower.PASSWORD] not in said


@pytest.mark.parametrize(
    "password", ["short", "x" * 15, "with a \n line break", "ümlauts-are-none"]
)
def test_a_weak_password_is_refused(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """Too short, or not what a login header can carry: refused by name, and not repeated."""
    monkeypatch.setenv(flower.PASSWORD, password)
    with pytest.raises(ConfigurationError, match="CAAS_FLOWER_PASSWORD") as caught:
        load_settings(flower.FlowerSettings)
    assert password not in str(caught.value)


def test_a_user_with_a_colon_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A colon ends the user's name in a login header."""
    monkeypatch.setenv(flower.PASSWORD, PASSWORD)
    monkeypatch.setenv(flower.USER, "a:b")
    with pytest.raises(ConfigurationError, match="CAAS_FLOWER_USER"):
        load_settings(flower.FlowerSettings)


def test_several_brokers_are_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """One Flower looks at one broker."""
    monkeypatch.setenv(flower.PASSWORD, PASSWORD)
    monkeypatch.setenv("CAAS_BROKER_URL", f"{URL},redis://127.0.0.1:6380/0")
    with pytest.raises(ConfigurationError, match="one broker"):
        flower.run(home, None, None)


def test_a_port_that_is_taken_is_said(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that can't be had ends it with one line."""

    class Taken:
        def start_http_server(self) -> None:
            raise PermissionError

    monkeypatch.setenv(flower.PASSWORD, PASSWORD)
    monkeypatch.setattr(flower, "_flower", lambda _settings: Taken())
    with pytest.raises(CommandError, match="cannot be listened on"):
        flower.run(home, None, None)


def basic(text: bytes, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {base64.b64encode(text).decode()}"}


@pytest.mark.parametrize(
    ("headers", "may"),
    [
        (basic(b"caas:" + PASSWORD.encode()), True),
        (basic(b"caas:" + PASSWORD.encode(), "basic"), True),
        ({}, False),
        (basic(b"caas:wrong"), False),
        (basic("caas:pässword".encode()), False),
        (basic(b"caas:" + PASSWORD.encode(), "Bearer"), False),
        ({"Authorization": "Basic ###"}, False),
        ({"Authorization": "Basic"}, False),
    ],
)
def test_who_may_look(headers: dict[str, str], may: bool) -> None:
    """The one login, in the one form; anything else is refused, whatever it holds."""
    from caas_cli.flower_server import FlowerServer

    server = FlowerServer.__new__(FlowerServer)
    server._login = f"caas:{PASSWORD}".encode()
    line = RequestStartLine("GET", "/", "HTTP/1.1")
    request = HTTPServerRequest(start_line=line, headers=HTTPHeaders({"Host": "h", **headers}))
    assert server._has_login(request) is may
