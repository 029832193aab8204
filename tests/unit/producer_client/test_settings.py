"""The client's settings: from the environment, named when wrong, never shown."""

from __future__ import annotations

import pytest

from caas_tasks.errors import ConfigurationError
from caas_tasks.settings import load_settings
from producer_client import AsyncClient, Client
from producer_client.settings import ClientSettings
from producer_client.testing import InMemoryService

VARIABLES = ("CAAS_BROKER_URL", "CAAS_API_KEY", "CAAS_SERVER_KEY", "CAAS_TIMEOUT_S")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, service: InMemoryService) -> pytest.MonkeyPatch:
    """A complete environment, of which a test changes a part."""
    values = ("redis://user:canary-password@127.0.0.1:1/0", service.api_key, service.server_key)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in zip(VARIABLES, values, strict=False):
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_timeout_has_a_default(environment: pytest.MonkeyPatch) -> None:
    """A call waits five seconds unless told otherwise."""
    assert load_settings(ClientSettings).timeout_s == 5.0


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_client_is_made_from_the_environment(
    environment: pytest.MonkeyPatch, client_class: type[Client] | type[AsyncClient]
) -> None:
    """All four variables reach the client, which connects to nothing yet."""
    environment.setenv("CAAS_TIMEOUT_S", "2.5")
    client = client_class.from_env()
    assert repr(client) == f"{client_class.__name__}(timeout_s=2.5)"
    assert client._api_key is not None


@pytest.mark.parametrize("name", VARIABLES[:3])
def test_missing_variable_is_named(environment: pytest.MonkeyPatch, name: str) -> None:
    """A forgotten variable is told by its name."""
    environment.delenv(name)
    with pytest.raises(ConfigurationError, match=f"^{name}: is not set.$"):
        Client.from_env()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAAS_TIMEOUT_S", "canary"),
        ("CAAS_TIMEOUT_S", "0"),
        ("CAAS_TIMEOUT_S", "3601"),
        ("CAAS_TIMEOUT_S", "nan"),
        ("CAAS_BROKER_URL", "amqp://canary"),
        ("CAAS_SERVER_KEY", "canary"),
    ],
)
def test_wrong_variable_is_named_and_not_shown(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """A wrong variable is refused by name; its value is not repeated."""
    environment.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as caught:
        Client.from_env()
    assert "canary" not in str(caught.value)


def test_secrets_are_not_shown(environment: pytest.MonkeyPatch, service: InMemoryService) -> None:
    """Neither the API key nor the broker's password is in a repr."""
    shown = repr(load_settings(ClientSettings))
    assert "canary-password" not in shown
    assert service.api_key not in shown
