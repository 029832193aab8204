"""The one client of a process that columns and password hashers call: they get no argument for it.

It is made from the environment at the first call, unless `use_client` says another.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from producer_client.client import Client

_lock = threading.Lock()
_client: Client | None = None


def get_client() -> Client:
    """The process's client; `Client.from_env()` at the first call.

    Raises:
        ConfigurationError: a variable is missing or wrong; names it.
    """
    global _client  # noqa: PLW0603 - the one client of a process is what this module is for
    if _client is None:
        with _lock:
            if _client is None:
                _client = Client.from_env()
    return _client


def set_client(client: Client | None) -> None:
    """Take another client from here on; None makes one from the environment again.

    The one before stays open: it is closed by whoever made it.
    """
    global _client  # noqa: PLW0603 - as above
    with _lock:
        _client = client


@contextmanager
def use_client(client: Client) -> Iterator[Client]:
    """Take another client within a block, in all threads: for tests and programs."""
    before = _client
    set_client(client)
    try:
        yield client
    finally:
        set_client(before)
