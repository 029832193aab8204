"""Settings from the environment: `CAAS_` variables, checked at start, a wrong one refused by name.

Each part of the service has its own settings class; this module holds what they share.
docs/settings.md has the one table of all of them, and a test holds it to the classes.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from caas_tasks.errors import ConfigurationError
from caas_tasks.redis_url import parse_broker_url

PREFIX = "CAAS_"
S = TypeVar("S", bound=BaseSettings)


class CaasSettings(BaseSettings):
    """Base of every settings class: the prefix, and errors that never show a value."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True
    )


class BrokerSettings(CaasSettings):
    """Where the broker and the reply store are."""

    broker_url: SecretStr = Field(
        description="Address of the broker: redis://, rediss:// or redis+socket:///path."
    )

    @field_validator("broker_url")
    @classmethod
    def _check_broker_url(cls, value: SecretStr) -> SecretStr:
        problem = ""
        try:
            parse_broker_url(value.get_secret_value())
        except ConfigurationError as error:
            problem = str(error).partition(": ")[2]
        if problem:
            raise ValueError(problem)
        return value


def load_settings(settings_class: type[S], **overrides: Any) -> S:
    """Read a settings class from the environment.

    Args:
        overrides: fields that come from elsewhere, such as a command line, and win.

    Raises:
        ConfigurationError: a variable is missing or wrong; names it, and does not show its value.
    """
    problem: str
    try:
        return settings_class(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else PREFIX + "*"
        reason = first["msg"].removeprefix("Value error, ")
        problem = f"{name}: {'is not set.' if first['type'] == 'missing' else reason}"
    raise ConfigurationError(problem)
