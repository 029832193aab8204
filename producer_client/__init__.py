"""The client library: what a main server installs.

Client, AsyncClient       call the service
Encrypted, Verification,
BlindIndex, Wrapped       what calls return
ServiceError, …           what calls raise; the tree is in `caas_tasks.errors`
"""

from __future__ import annotations

from caas_tasks.errors import (
    CaasError,
    ConfigurationError,
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    KeyUnavailableError,
    PayloadTooLargeError,
    RateLimitedError,
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
    UnauthorizedError,
    UndecryptableError,
    UnreadableMessageError,
)
from producer_client.async_client import AsyncClient
from producer_client.client import Client
from producer_client.jobs import AsyncJob, Job, JobProgress
from producer_client.results import BlindIndex, Encrypted, Verification, Wrapped

__all__ = [  # noqa: RUF022 - grouped by what a reader looks for
    # Clients
    "AsyncClient",
    "Client",
    # Jobs
    "AsyncJob",
    "Job",
    "JobProgress",
    # Results
    "BlindIndex",
    "Encrypted",
    "Verification",
    "Wrapped",
    # Errors
    "CaasError",
    "ConfigurationError",
    "ForbiddenError",
    "InternalError",
    "InvalidRequestError",
    "KeyUnavailableError",
    "PayloadTooLargeError",
    "RateLimitedError",
    "RequestTimeoutError",
    "ServiceError",
    "ServiceUnavailableError",
    "UnauthorizedError",
    "UndecryptableError",
    "UnreadableMessageError",
]
