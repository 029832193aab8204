"""`caas encrypt`, `caas seal` and their like: one call through the client library.

Data comes from a prompt that doesn't show it, or from standard input: an argument would stand in
the shell's history and in the process list.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from caas_cli import client_env
from caas_cli.exit_codes import UsageError
from caas_cli.home import Home
from caas_tasks.limits import MAX_ITEM_BYTES

if TYPE_CHECKING:
    from producer_client import Client


def client(home: Home) -> Client:
    """A client with the settings of the environment, or else of `client.env`.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """
    from producer_client import Client

    return Client(
        broker_url=client_env.setting(home.client_env, client_env.BROKER_URL),
        api_key=client_env.setting(home.client_env, client_env.API_KEY),
        server_key=client_env.setting(home.client_env, client_env.SERVER_KEY),
    )


def sensitive_data(what: str = "Sensitive data") -> str:
    """Text to work on: typed at a prompt, or all of standard input but one newline at its end.

    Raises:
        UsageError: not UTF-8, or over the limit of one item.
    """
    if sys.stdin.isatty():
        return _typed(what)
    # One newline more than the limit, and one byte to tell that there is too much.
    raw = sys.stdin.buffer.read(MAX_ITEM_BYTES + 3)
    line_end = b"\r\n" if raw.endswith(b"\r\n") else b"\n"
    raw = _within_limit(raw.removesuffix(line_end))
    text: str | None = None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        pass
    if text is None:
        raise UsageError("the data is not UTF-8 text")
    return text


def plaintext() -> bytes:
    """Bytes to seal: typed at a prompt, or all of standard input, a newline at its end too.

    Raises:
        UsageError: over the limit of one item.
    """
    if sys.stdin.isatty():
        return _typed("Plaintext").encode()
    return _within_limit(sys.stdin.buffer.read(MAX_ITEM_BYTES + 1))


def _typed(what: str) -> str:
    import typer

    return str(typer.prompt(what, hide_input=True, err=True))


def _within_limit(raw: bytes) -> bytes:
    if len(raw) > MAX_ITEM_BYTES:
        raise UsageError(f"the data is over {MAX_ITEM_BYTES} bytes")
    return raw
