"""`caas demo`: the service, one request through the client and one through HTTP, then stop."""

from __future__ import annotations

import asyncio

from caas_cli import http_probe
from caas_cli.exit_codes import ExitCode, one_line
from caas_cli.home import Home
from caas_cli.output import say, warn
from caas_cli.up import (
    EXAMPLE_DATA,
    EXAMPLE_UUID,
    PROBE_TIMEOUT_S,
    Running,
    UpOptions,
    problem_of,
    up,
)
from caas_tasks.errors import CaasError


def demo(home: Home, host: str, port: int) -> ExitCode:
    """Run the demonstration; `OK` only when both requests were answered, alike.

    Raises:
        CommandError: as `up`.
        ConfigurationError: as `up`.
    """
    # The next `up` may listen elsewhere, so the gateway's address is left as it is.
    return up(home, UpOptions(host=host, port=port, keeps_url=True), show)


async def show(running: Running) -> ExitCode:
    """Send the example request both ways and show the answers."""
    say(f'\nThe example request: "{EXAMPLE_DATA}" of user {EXAMPLE_UUID}')
    by_client = await asyncio.to_thread(_through_client, running)
    by_http = await _through_http(running)
    say(f"  through the client  {by_client or 'failed'}")
    say(f"  through HTTP        {by_http or 'failed'}\n")
    return ExitCode.OK if by_client is not None and by_client == by_http else ExitCode.NEGATIVE


def _through_client(running: Running) -> str | None:
    from producer_client import Client

    try:
        with Client(
            broker_url=running.broker_url,
            api_key=running.api_key,
            server_key=running.server_key,
        ) as client:
            return client.encrypt(EXAMPLE_UUID, EXAMPLE_DATA).encrypted_data
    except CaasError as error:
        warn(f"client: {one_line(error)}")
        return None


async def _through_http(running: Running) -> str | None:
    answer = await http_probe.request(
        running.host, running.port, "/encrypt", running.example(), PROBE_TIMEOUT_S
    )
    value = answer.body.get("encrypted_data") if answer is not None and answer.is_ok else None
    if not isinstance(value, str):
        warn(f"HTTP: {problem_of(answer)}")
        return None
    return value
