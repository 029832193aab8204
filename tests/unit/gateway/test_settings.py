"""The gateway's settings: each wrong one is refused by its name."""

from __future__ import annotations

import pytest

from caas_tasks.errors import ConfigurationError
from caas_tasks.settings import load_settings
from gateway.settings import GatewaySettings
from producer_client.testing import InMemoryService


@pytest.fixture(scope="module")
def server_key() -> str:
    return InMemoryService().server_key


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, server_key: str) -> None:
    for name in ("GATEWAY_HOST", "GATEWAY_PORT", "TIMEOUT_S"):
        monkeypatch.delenv(f"CAAS_{name}", raising=False)
    monkeypatch.setenv("CAAS_BROKER_URL", "redis://127.0.0.1:6379/0")
    monkeypatch.setenv("CAAS_SERVER_KEY", server_key)


def test_broker_and_server_key_are_enough(server_key: str) -> None:
    """Everything else has a default."""
    settings = load_settings(GatewaySettings)
    assert settings.server_key == server_key
    assert (settings.gateway_host, settings.gateway_port) == ("127.0.0.1", 8000)
    assert settings.timeout_s == 5.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAAS_SERVER_KEY", "marker-5d1f"),
        ("CAAS_SERVER_KEY", "caaspub1.bWFya2VyLTVkMWY="),
        ("CAAS_BROKER_URL", "http://marker-5d1f"),
        ("CAAS_GATEWAY_HOST", ""),
        ("CAAS_GATEWAY_PORT", "0"),
        ("CAAS_GATEWAY_PORT", "65536"),
        ("CAAS_GATEWAY_PORT", "marker-5d1f"),
        ("CAAS_TIMEOUT_S", "0"),
        ("CAAS_TIMEOUT_S", "-1"),
        ("CAAS_TIMEOUT_S", "nan"),
        ("CAAS_TIMEOUT_S", "inf"),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable and doesn't show its value."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(GatewaySettings)
    assert str(caught.value).startswith(f"{name}: ")
    assert "marker-5d1f" not in str(caught.value)


@pytest.mark.parametrize("name", ["CAAS_SERVER_KEY", "CAAS_BROKER_URL"])
def test_a_missing_value_is_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two have no default."""
    monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match=f"{name}: is not set"):
        load_settings(GatewaySettings)
