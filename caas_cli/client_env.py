"""`client.env`: the four settings of a main server, as `KEY=value` lines.

Values need no quoting, so that a shell, Docker's `--env-file` and systemd's `EnvironmentFile` all
read the file alike.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from caas_tasks.errors import ConfigurationError

BROKER_URL: Final = "CAAS_BROKER_URL"
API_KEY: Final = "CAAS_API_KEY"
SERVER_KEY: Final = "CAAS_SERVER_KEY"
GATEWAY_URL: Final = "CAAS_GATEWAY_URL"
MAX_FILE_BYTES: Final = 64 * 1024


def render(values: Mapping[str, str]) -> bytes:
    """The file's content."""
    return "".join(f"{name}={value}\n" for name, value in values.items()).encode()


def read(path: Path) -> dict[str, str]:
    """The settings of a file; empty when there is none.

    Raises:
        ConfigurationError: the file can't be read or isn't of this form. No line is repeated.
    """
    problem = ""
    text = ""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES).decode()
    except FileNotFoundError:
        return {}
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, separator, value = line.strip().partition("=")
        if not name or name.startswith("#"):
            continue
        if not separator:
            problem = f"line {number} is not KEY=value"
            break
        values[name.strip()] = value.strip()
    if problem:
        raise ConfigurationError(f"{path}: {problem}")
    return values


def write_changed(path: Path, changes: Mapping[str, str]) -> bool:
    """Bring some settings of the file up to date, keeping the others; whether anything changed.

    Raises:
        ConfigurationError: it can't be read or written.
    """
    from worker.keystore.file import write_private

    values = read(path)
    if all(values.get(name) == value for name, value in changes.items()):
        return False
    problem = ""
    try:
        write_private(path, render({**values, **changes}))
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
    if problem:
        raise ConfigurationError(f"{path}: {problem}")
    return True


def fill_environment(path: Path, *names: str) -> None:
    """Take settings that the environment lacks from the file, for what reads the environment.

    Raises:
        ConfigurationError: as `read`.
    """
    values = read(path)
    for name in names:
        if name in values:
            os.environ.setdefault(name, values[name])


def setting(path: Path, name: str) -> str:
    """A setting from the environment, or else from the file.

    Raises:
        ConfigurationError: neither has it.
    """
    value = os.environ.get(name) or read(path).get(name)
    if not value:
        raise ConfigurationError(f"{name}: not set, and not in {path}. Run `caas init` first.")
    return value
