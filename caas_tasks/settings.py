"""Settings from the environment: `CAAS_` variables, checked at start, a wrong one refused by name.

Each part of the service has its own settings class; this module holds what they share.
docs/settings.md has the one table of all of them, and a test holds it to the classes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from caas_tasks.broker_tls import check_tls_files
from caas_tasks.errors import ConfigurationError
from caas_tasks.redis_url import BrokerTls, BrokerUrl, parse_broker_urls

PREFIX = "CAAS_"
SECRETS_VARIABLE: Final = "CAAS_SECRETS_DIR"
SECRETS_FOLDER: Final = "/run/secrets"
"""Where containers get secrets as files; `caas_broker_url` there is `CAAS_BROKER_URL`."""

S = TypeVar("S", bound=BaseSettings)


class CaasSettings(BaseSettings):
    """Base of every settings class: the prefix, and errors that never show a value."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then files of secrets such as containers mount."""
        folder = os.environ.get(SECRETS_VARIABLE) or SECRETS_FOLDER
        if not Path(folder).is_dir():
            return (init_settings, env_settings)
        files = SecretsSettingsSource(settings_cls, secrets_dir=folder)
        return (init_settings, env_settings, files)


class BrokerSecurity(CaasSettings):
    """How the connection to the broker is secured; read wherever a broker's address is."""

    broker_ca: Path | None = Field(
        default=None, description="PEM file of the only authorities trusted to certify the broker."
    )
    broker_cert: Path | None = Field(
        default=None, description="PEM file of this side's certificate, for brokers that ask."
    )
    broker_key: Path | None = Field(
        default=None, description="PEM file of the private key of CAAS_BROKER_CERT."
    )
    allow_plaintext_broker: bool = Field(
        default=False, description="Take an address of another machine without TLS."
    )

    @field_validator("broker_ca", "broker_cert", "broker_key", mode="before")
    @classmethod
    def _read_empty_as_unset(cls, value: object) -> object:
        # What a compose file or an `.env` leaves empty is not the current folder.
        return None if value == "" else value

    def read(self, urls: str) -> tuple[BrokerUrl, ...]:
        """The brokers of an address or several.

        Raises:
            ConfigurationError: an address or a file of certificates is not usable.
        """
        tls = BrokerTls(self.broker_ca, self.broker_cert, self.broker_key)
        found = parse_broker_urls(urls, tls, allow_plaintext=self.allow_plaintext_broker)
        if any(broker.tls is not None for broker in found):
            check_tls_files(tls)
        return found


class BrokerSettings(BrokerSecurity):
    """Where the broker and the reply store are."""

    broker_url: SecretStr = Field(
        description="Address of the broker: redis://, rediss://, sentinel://, sentinels:// or "
        "redis+socket:///path; several, separated by commas."
    )

    @model_validator(mode="after")
    def _check_broker(self) -> Self:
        problem = ""
        try:
            self.brokers()
        except ConfigurationError as error:
            problem = str(error)
        if problem:
            raise ValueError(problem)
        return self

    def brokers(self) -> tuple[BrokerUrl, ...]:
        """The brokers that `broker_url` names."""
        return self.read(self.broker_url.get_secret_value())


def read_brokers(urls: str) -> tuple[BrokerUrl, ...]:
    """The brokers of an address or several, secured as the environment says.

    Raises:
        ConfigurationError: an address, or a setting of its security, is wrong.
    """
    return load_settings(BrokerSecurity).read(urls)


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
        reason = first["msg"].removeprefix("Value error, ")
        name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else PREFIX + "*"
        # A check of several settings together may name the one that is wrong.
        is_named = not first["loc"] and reason.startswith(PREFIX)
        problem = f"{name}: {'is not set.' if first['type'] == 'missing' else reason}"
        problem = reason if is_named else problem
    raise ConfigurationError(problem)
