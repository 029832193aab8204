"""The worker's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from caas_tasks.errors import ConfigurationError
from caas_tasks.log_format import LogSettings
from caas_tasks.metrics_settings import MetricsSettings
from caas_tasks.redis_url import MAX_BROKERS, BrokerUrl
from caas_tasks.settings import BrokerSettings
from worker.guess_windows import MAX_GUESSES

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class WorkerSettings(BrokerSettings, MetricsSettings, LogSettings):
    """Where the keystore is, what is limited and kept account of, and how the worker logs."""

    keystore: Path = Field(
        default=Path(".caas/keystore.age"), description="The keystore, an age file."
    )
    identity: Path = Field(
        default=Path(".caas/identity.txt"),
        description="The age identity that opens the keystore.",
    )
    guess_limits: bool = Field(
        default=True, description="Whether guesses about one user are limited."
    )
    guesses_per_minute: int = Field(
        default=60, ge=1, le=MAX_GUESSES, description="Guesses about one user in a minute."
    )
    guesses_per_day: int = Field(
        default=1_000, ge=1, le=MAX_GUESSES, description="Guesses about one user in a day."
    )
    counter_url: SecretStr | None = Field(
        default=None, description="Redis for the counts of guesses; the first broker if not set."
    )
    audit_dir: Path | None = Field(
        default=None, description="Folder of the audit log; none is written without it."
    )
    audit_required: bool = Field(
        default=True, description="Whether a request whose audit line can't be written is refused."
    )
    audit_max_bytes: int = Field(
        default=64 << 20, ge=1 << 16, description="About how large a file of the audit log gets."
    )
    password_memory_kib: int = Field(
        default=512 * 1024,
        ge=8,
        description="Memory for the password hashes that run at once, in KiB; others wait.",
    )
    password_nice: int = Field(
        default=19,
        ge=0,
        le=19,
        description="How far the hashing of passwords stands back for other programs: `nice`.",
    )
    broker_index: Annotated[int, Field(ge=0, lt=MAX_BROKERS)] | None = Field(
        default=None, description="Which of several brokers this worker serves, from 0."
    )
    health_file: Path | None = Field(
        default=None, description="File that a worker touches while it is well."
    )
    tracing: bool = Field(
        default=False, description="Whether calls and requests are traced by OpenTelemetry."
    )
    trace_ratio: float = Field(
        default=1.0, ge=0, le=1, description="Share of requests whose traces are kept."
    )
    log_level: LogLevel = Field(default="INFO", description="Least severe level that is logged.")

    @field_validator("audit_dir", "counter_url", mode="before")
    @classmethod
    def _read_blank_as_unset(cls, value: object) -> object:
        # What a compose file or an `.env` leaves empty is not the current folder.
        return None if value == "" else value

    def counter_broker(self) -> BrokerUrl:
        """Where the workers' common counts are.

        Raises:
            ConfigurationError: the address is wrong.
        """
        if self.counter_url is None:
            return self.brokers()[0]
        problem = ""
        try:
            return self.read(self.counter_url.get_secret_value())[0]
        except ConfigurationError as error:
            problem = str(error).replace("CAAS_BROKER_URL", "CAAS_COUNTER_URL")
        raise ConfigurationError(problem)
