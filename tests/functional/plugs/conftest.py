"""Fixtures of the plugs: a client over the service in memory that tells what was asked of it, and
the example shop with a database in memory.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from producer_client import Client
from producer_client.integrations.shared_client import use_client
from producer_client.testing import InMemoryService

SHOP = Path(__file__).resolve().parents[3] / "examples" / "shop"
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "shop.settings",
    "SHOP_DATABASE": ":memory:",
    "SHOP_SECRET_KEY": "of-tests",
}
os.environ.update(SETTINGS)
sys.path.insert(0, str(SHOP))

import django  # noqa: E402 - with its settings named
from django.core.management import call_command  # noqa: E402 - with its settings named
from django.db import transaction  # noqa: E402 - with its settings named
from django.test import Client as Browser  # noqa: E402 - with its settings named

_root = logging.getLogger()
_before = _root.level, list(_root.handlers)
django.setup()
# The shop's logging is for a program of its own; other tests keep theirs.
_root.setLevel(_before[0])
_root.handlers[:] = _before[1]
for name in SETTINGS:
    # Celery looks for Django's: the workers that other tests start would try to load the shop.
    del os.environ[name]


class Recorder:
    """A client that notes the names of the methods called.

    Attributes:
        calls: those names, in order.
        stead: what to do instead, by name.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.calls: list[str] = []
        self.stead: dict[str, Callable[..., Any]] = {}

    def __getattr__(self, name: str) -> Any:
        method = self.stead.get(name) or getattr(self._client, name)

        def call(*args: Any, **options: Any) -> Any:
            self.calls.append(name)
            return method(*args, **options)

        return call


@pytest.fixture(scope="session")
def shared_service() -> InMemoryService:
    """One service for all: keys are made once."""
    return InMemoryService()


@pytest.fixture
def caas(shared_service: InMemoryService) -> Iterator[Recorder]:
    """The process's client while a test runs."""
    with shared_service.client(timeout_s=60) as client:
        recorder = Recorder(client)
        with use_client(recorder):  # type: ignore[arg-type] - it behaves as one
            yield recorder


@pytest.fixture(scope="session")
def _tables() -> None:
    call_command("migrate", verbosity=0)


@pytest.fixture
def database(_tables: None, caas: Recorder) -> Iterator[None]:
    """The shop's tables, as they were before when the test ends."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def browser(database: None) -> Browser:
    """Django's test client, with CSRF checks as in earnest."""
    return Browser(enforce_csrf_checks=True)
