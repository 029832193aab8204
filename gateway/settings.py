"""The gateway's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from caas_tasks.log_format import LogSettings
from caas_tasks.metrics_settings import MetricsSettings
from producer_client.settings import ServiceSettings

Port = Annotated[int, Field(ge=1, le=65_535)]


class GatewaySettings(ServiceSettings, MetricsSettings, LogSettings):
    """Where the gateway listens, and what it needs to reach the workers. It has no API key."""

    gateway_host: Annotated[str, Field(min_length=1)] = Field(
        default="127.0.0.1", description="Address that the gateway listens on."
    )
    gateway_port: Port = Field(default=8000, description="Port that the gateway listens on.")
    gateway_tls_cert: Path | None = Field(
        default=None, description="PEM file of the gateway's certificate and its chain; HTTPS then."
    )
    gateway_tls_key: Path | None = Field(
        default=None, description="PEM file of that certificate's private key."
    )

    @field_validator("gateway_tls_cert", "gateway_tls_key", mode="before")
    @classmethod
    def _read_empty(cls, value: object) -> object:
        return None if value == "" else value
