"""`caas flower`: Flower with a login in front of every page, for looking and not for touching.

Flower turns worker events on, and a worker's tasks then take Celery's own way, where its pages see
them. What they show of a task is its name, id, times and worker: arguments and results are one
opaque string each. docs/flower.md is its guide.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, SecretStr, field_validator

from caas_cli import client_env
from caas_cli.exit_codes import CommandError, ExitCode
from caas_cli.home import Home
from caas_cli.output import warn
from caas_tasks.errors import ConfigurationError
from caas_tasks.settings import BrokerSettings, load_settings

if TYPE_CHECKING:
    from caas_cli.flower_server import FlowerServer

USER: Final = "CAAS_FLOWER_USER"
PASSWORD: Final = "CAAS_FLOWER_PASSWORD"  # noqa: S105 - a variable's name
DEFAULT_USER: Final = "caas"
MIN_PASSWORD_CHARS: Final = 16
_PASSWORD_BYTES: Final = 24
MAX_TASKS: Final = 2_000


class FlowerSettings(BrokerSettings):
    """Where Flower listens and who may look."""

    flower_user: Annotated[str, Field(pattern=r"^[\x21-\x39\x3b-\x7e]{1,64}$")] = Field(
        default=DEFAULT_USER, description="Who may look at Flower."
    )
    flower_password: SecretStr = Field(description="That user's password.")
    flower_host: Annotated[str, Field(min_length=1)] = Field(
        default="127.0.0.1", description="Address that Flower listens on."
    )
    flower_port: Annotated[int, Field(ge=1, le=65_535)] = Field(
        default=5555, description="Port that Flower listens on."
    )
    flower_max_tasks: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=MAX_TASKS, description="Tasks that Flower keeps in memory, the newest."
    )

    @field_validator("flower_password")
    @classmethod
    def _check_password(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if len(text) < MIN_PASSWORD_CHARS or not (text.isascii() and text.isprintable()):
            raise ValueError(f"is at least {MIN_PASSWORD_CHARS} printable ASCII characters.")
        return value


def run(home: Home, host: str | None, port: int | None) -> int:
    """Serve Flower until SIGTERM or SIGINT; the exit code.

    Raises:
        ConfigurationError: a setting is missing or wrong, or Flower is not installed.
        CommandError: the address can't be listened on.
    """
    client_env.fill_environment(home.client_env, client_env.BROKER_URL)
    fill_login(home)
    given = {"flower_host": host, "flower_port": port}
    settings = load_settings(
        FlowerSettings, **{name: value for name, value in given.items() if value is not None}
    )
    if len(settings.brokers()) > 1:
        raise ConfigurationError("CAAS_BROKER_URL: Flower looks at one broker; name one.")
    flower = _flower(settings)
    address = f"port {settings.flower_port} of {settings.flower_host}"
    problem = ""
    try:
        flower.start_http_server()
    except OSError as error:
        problem = f"{address} cannot be listened on: {type(error).__name__}"
    if problem:
        raise CommandError(problem, ExitCode.UNAVAILABLE)
    warn(f"Flower listens on {address}; log in as {settings.flower_user}.")
    signal.signal(signal.SIGTERM, _end)
    try:
        flower.start()
    except (KeyboardInterrupt, SystemExit):
        pass
    flower.switch_events_off()
    return int(ExitCode.OK)


def fill_login(home: Home) -> None:
    """Take the login from the home's flower.env where the environment has none.

    An installation without that file gets one with a random password: there is no default one.

    Raises:
        ConfigurationError: the file can't be read or written.
    """
    if not os.environ.get(PASSWORD) and home.keystore.exists() and not home.flower_env.exists():
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        client_env.write_changed(home.flower_env, {USER: DEFAULT_USER, PASSWORD: password})
        warn(f"Made a login for Flower in {home.flower_env}.")
    client_env.fill_environment(home.flower_env, USER, PASSWORD)


def _flower(settings: FlowerSettings) -> FlowerServer:
    if find_spec("flower") is None:
        raise ConfigurationError("Flower is not installed: pip install 'caas[flower]'.")
    from caas_cli.flower_server import make

    return make(settings)


def _end(*_signal: object) -> None:
    sys.exit(0)
