"""The client library: what a main server installs.

Client, AsyncClient       call the service
Encrypted, Verification,
BlindIndex, Wrapped, …    what calls return
inspect                   what a stored value is, told offline
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
from producer_client.inspection import Inspection, inspect
from producer_client.jobs import AsyncJob, Job, JobProgress
from producer_client.results import (
    BlindIndex,
    Encrypted,
    PasswordVerification,
    Rewrapped,
    Verification,
    Wrapped,
)

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
    "PasswordVerification",
    "Rewrapped",
    "Verification",
    "Wrapped",
    # Stored values, offline
    "Inspection",
    "inspect",
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
