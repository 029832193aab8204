"""Settings of those parts that Prometheus may ask for metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from caas_tasks.settings import CaasSettings


class MetricsSettings(CaasSettings):
    """Where metrics are served; not at all unless a port is set."""

    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=0, description="Port that serves /metrics; 0 for none."
    )
    metrics_host: Annotated[str, Field(min_length=1)] = Field(
        default="127.0.0.1", description="Address that metrics are served on."
    )
    metrics_dir: Path | None = Field(
        default=None,
        description="Folder that the processes of one host share, to serve their sums on one port.",
    )
