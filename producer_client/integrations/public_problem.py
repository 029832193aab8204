"""What a main server tells its own callers about a service error: a status, a code, one sentence.

A caller is told what it can do something about. That this main server's API key is refused, or a
stored value doesn't open, is the main server's own affair: 500, and a line in its log.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any, Final

from caas_tasks.errors import (
    InternalError,
    InvalidRequestError,
    PayloadTooLargeError,
    RateLimitedError,
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
)

TYPE_PREFIX: Final = "urn:caas:error:"
OUTAGE_RETRY_AFTER_S: Final = 5
"""Seconds after which to try again what failed because the service was away."""

_TITLES: Final[dict[type[ServiceError], str]] = {
    InvalidRequestError: "Invalid request",
    PayloadTooLargeError: "Payload too large",
    RateLimitedError: "Too many requests",
    ServiceUnavailableError: "Service unavailable",
    RequestTimeoutError: "Timeout",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublicProblem:
    """A problem for the outside (RFC 9457).

    Attributes:
        retry_after_s: whole seconds, for the `Retry-After` header, or None.
    """

    status: int
    code: str
    title: str
    detail: str
    retry_after_s: int | None

    @property
    def wait(self) -> str:
        """`retry_after_s` for people: seconds up to two minutes, then minutes or hours."""
        seconds = self.retry_after_s or 0
        for unit_s, name in ((3_600, "hours"), (60, "minutes")):
            if seconds > 2 * unit_s:
                return f"{math.ceil(seconds / unit_s)} {name}"
        return "1 second" if seconds == 1 else f"{seconds} seconds"

    def members(self) -> dict[str, Any]:
        """The members of the problem details object."""
        extra = {} if self.retry_after_s is None else {"retry_after": self.retry_after_s}
        return {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **extra,
        }

    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


def public_problem(error: ServiceError) -> PublicProblem:
    """The problem that a service error becomes outside; what is hidden there is logged."""
    title = _TITLES.get(type(error))
    if title is None:
        logger.error("the crypto service answered %s: %s", error.code, error.message)
        internal = InternalError()
        return PublicProblem(
            internal.http_status, internal.code, "Internal error", internal.message, None
        )
    return PublicProblem(error.http_status, error.code, title, error.message, _retry_after(error))


def _retry_after(error: ServiceError) -> int | None:
    if error.retry_after_s is not None:
        return max(1, math.ceil(error.retry_after_s))  # never too early
    if isinstance(error, ServiceUnavailableError | RequestTimeoutError):
        return OUTAGE_RETRY_AFTER_S
    return None
