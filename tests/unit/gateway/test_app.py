"""Start and stop of the application."""

from __future__ import annotations

from typing import Any

import pytest

from caas_tasks.errors import ConfigurationError
from gateway import app as app_module
from gateway.app import create_app
from gateway.settings import GatewaySettings
from producer_client.testing import InMemoryService

pytestmark = pytest.mark.anyio


class Opened:
    """Stands for the client that the application opens."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True


def settings() -> GatewaySettings:
    return GatewaySettings(
        broker_url="redis://127.0.0.1:1/0",  # type: ignore[arg-type]
        server_key=InMemoryService().server_key,
        timeout_s=1.5,
    )


async def test_it_opens_and_closes_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client lives as long as the application, and has no API key of its own."""
    opened: list[Opened] = []

    def open_client(**arguments: Any) -> Opened:
        opened.append(Opened(**arguments))
        return opened[-1]

    monkeypatch.setattr(app_module, "AsyncClient", open_client)
    chosen = settings()
    app = create_app(chosen)
    assert opened == []
    async with app.router.lifespan_context(app):
        assert opened[0].arguments == {
            "broker_url": "redis://127.0.0.1:1/0",
            "api_key": None,
            "server_key": chosen.server_key,
            "timeout_s": 1.5,
            "password_timeout_s": 30.0,
            "tracer": None,
        }
        assert not opened[0].is_closed
    assert opened[0].is_closed


async def test_a_client_that_was_given_stays_open(scripted: Any) -> None:
    """Who opened it closes it."""
    app = create_app(client=scripted)
    async with app.router.lifespan_context(app):
        pass


async def test_the_environment_is_read_when_nothing_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wrong setting is refused before anything listens."""
    monkeypatch.setenv("CAAS_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("CAAS_SERVER_KEY", "none")
    with pytest.raises(ConfigurationError, match="CAAS_SERVER_KEY"):
        create_app()


async def test_making_the_application_connects_to_nothing() -> None:
    """With a broker that isn't there, start and stop still work."""
    app = create_app(settings())
    async with app.router.lifespan_context(app):
        pass
