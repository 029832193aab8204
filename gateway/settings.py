"""The gateway's settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from caas_tasks.envelope import ServicePublicKey
from caas_tasks.errors import ConfigurationError
from caas_tasks.settings import BrokerSettings
from producer_client.settings import DEFAULT_TIMEOUT_S, TimeoutSeconds

Port = Annotated[int, Field(ge=1, le=65_535)]


class GatewaySettings(BrokerSettings):
    """Where the gateway listens, and what it needs to reach the workers. It has no API key."""

    gateway_host: Annotated[str, Field(min_length=1)] = Field(
        default="127.0.0.1", description="Address that the gateway listens on."
    )
    gateway_port: Port = Field(default=8000, description="Port that the gateway listens on.")
    server_key: str = Field(description="The service's public key, `caaspub1.…`.")
    timeout_s: TimeoutSeconds = Field(
        default=DEFAULT_TIMEOUT_S, description="Seconds that a call waits for its answer."
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
