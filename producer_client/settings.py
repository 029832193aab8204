"""The client's settings."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, SecretStr, field_validator

from caas_tasks.envelope import ServicePublicKey
from caas_tasks.errors import ConfigurationError
from caas_tasks.settings import BrokerSettings

DEFAULT_TIMEOUT_S: Final = 5.0
DEFAULT_PASSWORD_TIMEOUT_S: Final = 30.0
MAX_TIMEOUT_S: Final = 3_600.0
TimeoutSeconds = Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)]


def checked_timeout_s(timeout_s: object) -> float:
    """A timeout that was passed as an argument.

    Raises:
        ConfigurationError: not a number above 0 and at most `MAX_TIMEOUT_S`.
    """
    if not isinstance(timeout_s, int | float) or not 0 < timeout_s <= MAX_TIMEOUT_S:
        raise ConfigurationError(f"timeout_s is a number above 0 and at most {MAX_TIMEOUT_S:.0f}.")
    return float(timeout_s)


class ServiceSettings(BrokerSettings):
    """What everyone needs who calls the service: the broker, its public key, a timeout."""

    server_key: str = Field(description="The service's public key, `caaspub1.…`.")
    timeout_s: TimeoutSeconds = Field(
        default=DEFAULT_TIMEOUT_S, description="Seconds that a call waits for its answer."
    )
    tracing: bool = Field(
        default=False, description="Whether calls and requests are traced by OpenTelemetry."
    )
    password_timeout_s: TimeoutSeconds = Field(
        default=DEFAULT_PASSWORD_TIMEOUT_S,
        description="The same for a password operation, which is slow on purpose and may queue.",
    )

    @field_validator("server_key")
    @classmethod
    def _check_server_key(cls, value: str) -> str:
        problem = ""
        try:
            ServicePublicKey.from_text(value)
        except ConfigurationError as error:
            problem = str(error)
        if problem:
            raise ValueError(problem)
        return value


class ClientSettings(ServiceSettings):
    """What a main server is given: that, and its API key."""

    api_key: SecretStr = Field(description="The main server's API key.")
