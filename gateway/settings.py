"""The gateway's settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from producer_client.settings import ServiceSettings

Port = Annotated[int, Field(ge=1, le=65_535)]


class GatewaySettings(ServiceSettings):
    """Where the gateway listens, and what it needs to reach the workers. It has no API key."""

    gateway_host: Annotated[str, Field(min_length=1)] = Field(
        default="127.0.0.1", description="Address that the gateway listens on."
    )
    gateway_port: Port = Field(default=8000, description="Port that the gateway listens on.")
