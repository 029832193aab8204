"""The worker's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from caas_tasks.settings import BrokerSettings

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class WorkerSettings(BrokerSettings):
    """Where the keystore is and how the worker logs."""

    keystore: Path = Field(
        default=Path(".caas/keystore.age"), description="The keystore, an age file."
    )
    identity: Path = Field(
        default=Path(".caas/identity.txt"),
        description="The age identity that opens the keystore.",
    )
    log_level: LogLevel = Field(default="INFO", description="Least severe level that is logged.")
