"""Settings from the environment: a wrong one is refused by name, without its value."""

from __future__ import annotations

import pytest
from pydantic import Field, model_validator

from caas_tasks.errors import ConfigurationError
from caas_tasks.settings import BrokerSettings, CaasSettings, load_settings

SECRET = "canary-pass"


class Example(CaasSettings):
    retries: int = Field(default=3, ge=0)


class Picky(CaasSettings):
    @model_validator(mode="after")
    def _refuse(self) -> Picky:
        raise ValueError("nothing suits")


def test_broker_url_is_read_and_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL comes from the environment and shows in no text form."""
    monkeypatch.setenv("CAAS_BROKER_URL", f"rediss://:{SECRET}@host")
    settings = load_settings(BrokerSettings)
    assert settings.broker_url.get_secret_value() == f"rediss://:{SECRET}@host"
    assert SECRET not in repr(settings)


def test_missing_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that is not there is named."""
    monkeypatch.delenv("CAAS_BROKER_URL", raising=False)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(BrokerSettings)
    assert str(caught.value) == "CAAS_BROKER_URL: is not set."
    assert caught.value.__context__ is None


def test_wrong_broker_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong URL is refused once by name, with the forms there are."""
    monkeypatch.setenv("CAAS_BROKER_URL", f"amqp://:{SECRET}@host")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(BrokerSettings)
    assert str(caught.value).startswith("CAAS_BROKER_URL: must be redis://host:port/db")
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_wrong_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of the wrong type is refused by the variable's name."""
    monkeypatch.setenv("CAAS_RETRIES", SECRET)
    with pytest.raises(ConfigurationError, match=r"^CAAS_RETRIES: ") as caught:
        load_settings(Example)
    assert SECRET not in str(caught.value)


def test_settings_that_do_not_fit_together() -> None:
    """A check over several settings has no one name."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(Picky)
    assert str(caught.value) == "CAAS_*: nothing suits"


def test_overrides_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command line says goes before the environment; a default after it."""
    assert load_settings(Example).retries == 3
    monkeypatch.setenv("CAAS_RETRIES", "5")
    monkeypatch.setenv("CAAS_SOMETHING_ELSE", "x")
    assert load_settings(Example).retries == 5
    assert load_settings(Example, retries=7).retries == 7
