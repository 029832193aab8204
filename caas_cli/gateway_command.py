"""`caas gateway`: the HTTP gateway under uvicorn."""

from __future__ import annotations

import logging
import os
import signal
import socket
from typing import Annotated, Final

from pydantic import Field

from caas_cli import client_env
from caas_cli.exit_codes import CommandError, ExitCode, UsageError
from caas_cli.home import Home
from caas_tasks import log_format
from caas_tasks.settings import CaasSettings, load_settings

MAX_PORT: Final = 65_535
GRACE_S: Final = 10
_BACKLOG: Final = 2_048


class ListenSettings(CaasSettings):
    """Where the gateway listens."""

    gateway_host: Annotated[str, Field(min_length=1)] = Field(
        default="127.0.0.1", description="Address that the gateway listens on."
    )
    gateway_port: Annotated[int, Field(ge=0, le=MAX_PORT)] = Field(
        default=8000, description="Port that the gateway listens on."
    )


def listen_settings(host: str | None, port: int | None) -> tuple[str, int]:
    """Host and port as given, or else as the environment says.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    given: dict[str, object] = {}
    if host is not None:
        given["gateway_host"] = host
    if port is not None:
        given["gateway_port"] = port
    settings = load_settings(ListenSettings, **given)
    return settings.gateway_host, settings.gateway_port


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        CommandError: the address is taken or isn't this machine's.
    """
    problem: str
    if port > MAX_PORT:
        raise CommandError(f"a port is a number from 0 to {MAX_PORT}", ExitCode.UNAVAILABLE)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        # The number alone: asyncio and socket add the address to the text, in their own way.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such host"
        problem = f"port {port} of {host} cannot be listened on: {reason}"
    raise CommandError(problem, ExitCode.UNAVAILABLE)


def run(home: Home, host: str | None, port: int | None, listen_fd: int | None) -> int:
    """Serve until SIGTERM or SIGINT, finishing the requests that have begun; the exit code.

    Args:
        host: where to listen; the environment's when None, like `port`.
        listen_fd: an inherited socket that listens already, instead of both.

    Raises:
        ConfigurationError: a setting is missing or wrong.
        CommandError: the address can't be listened on.
    """
    import uvicorn

    from gateway.app import create_app
    from gateway.settings import GatewaySettings
    from gateway.tls import server_context

    client_env.fill_environment(home.client_env, client_env.BROKER_URL, client_env.SERVER_KEY)
    settings = load_settings(GatewaySettings)
    application = create_app(settings)
    tls = server_context(settings.gateway_tls_cert, settings.gateway_tls_key)
    listener = listen(*listen_settings(host, port)) if listen_fd is None else _inherited(listen_fd)
    log_format.configure(settings, logging.INFO)
    config = uvicorn.Config(
        application,
        log_config=None,
        # The application writes its own line for each request, without what came in.
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=GRACE_S,
        backlog=_BACKLOG,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signal that stopped it once more when it is done; stopping is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listener])
    return int(ExitCode.OK if server.started else ExitCode.INTERNAL)


def _inherited(descriptor: int) -> socket.socket:
    problem = ""
    try:
        return socket.socket(fileno=descriptor)
    except OSError as error:
        problem = f"--listen-fd: not an inherited socket: {error.strerror}"
    raise UsageError(problem)
