"""Errors as problem details (RFC 9457), with the codes that they have on every surface.

A problem is built from a code and a fixed sentence. Nothing that came in, not even the path, stands
in one (docs/spec.md, section 7).
"""

from __future__ import annotations

import logging
import math
import secrets
import traceback
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.types import Send

from caas_tasks.encoding import encode_json
from caas_tasks.errors import (
    InternalError,
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
    UnauthorizedError,
)
from gateway.responses import PROBLEM_JSON, RawHeaders, send_body

TYPE_PREFIX: Final = "urn:caas:error:"
NOT_FOUND: Final = "not_found"
METHOD_NOT_ALLOWED: Final = "method_not_allowed"

TITLES: Final[dict[str, str]] = {
    "invalid_request": "Invalid request",
    "unauthorized": "Unauthorized",
    "forbidden": "Forbidden",
    NOT_FOUND: "Not found",
    METHOD_NOT_ALLOWED: "Method not allowed",
    "key_unavailable": "Key version not available",
    "payload_too_large": "Payload too large",
    "undecryptable": "Not authentic",
    "rate_limited": "Too many requests",
    "internal": "Internal error",
    "unreadable": "Message not readable",
    "unavailable": "Service unavailable",
    "timeout": "Timeout",
}
"""Every code that a problem may have; a test holds it to the error tree."""

_INCIDENT_BYTES: Final = 8
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem details object and the headers that go with it.

    Attributes:
        extra: extension members (RFC 9457, section 3.2).
    """

    status: int
    code: str
    detail: str
    headers: RawHeaders = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def members(self) -> dict[str, Any]:
        """The members of the object."""
        return {
            "type": TYPE_PREFIX + self.code,
            "title": TITLES[self.code],
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **self.extra,
        }

    def body(self) -> bytes:
        """The object as JSON."""
        return encode_json(self.members())

    async def send(self, send: Send) -> None:
        """Answer a request with it."""
        await send_body(send, self.status, PROBLEM_JSON, self.body(), self.headers)


def from_error(error: ServiceError) -> Problem:
    """The problem that a service error becomes."""
    headers: list[tuple[bytes, bytes]] = []
    extra: dict[str, Any] = {}
    if isinstance(error, UnauthorizedError):
        headers.append((b"www-authenticate", b"Bearer"))  # RFC 9110, section 15.5.2
    if error.retry_after_s is not None:
        # A header of whole seconds (RFC 9110, section 10.2.3), never too early.
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))))
        extra["retry_after"] = error.retry_after_s
    return Problem(error.http_status, error.code, error.message, headers, extra)


def not_found() -> Problem:
    """No such path."""
    return Problem(404, NOT_FOUND, "There is nothing at this path; /docs lists what there is.")


def method_not_allowed(allow: str) -> Problem:
    """The path takes other methods.

    Args:
        allow: those methods, separated by commas.
    """
    return Problem(
        405,
        METHOD_NOT_ALLOWED,
        f"This path answers {allow} only.",
        [(b"allow", allow.encode("ascii"))],
    )


def not_ready(error: ServiceError) -> Problem:
    """The service can't answer now; `reason` is the code of what is in the way."""
    status, code = ServiceUnavailableError.http_status, ServiceUnavailableError.code
    detail = error.message
    if isinstance(error, RequestTimeoutError):
        detail = "No worker answered."
    return Problem(status, code, detail, extra={"reason": error.code})


def internal(error: Exception) -> Problem:
    """Log an unexpected exception under a new incident id and give the problem that shows the id.

    What is logged is the exception's type and where it was raised, never its message or its frames'
    variables, which may hold input.
    """
    incident = secrets.token_hex(_INCIDENT_BYTES)
    frames = traceback.extract_tb(error.__traceback__)
    where = " > ".join(f"{frame.filename}:{frame.lineno}({frame.name})" for frame in frames)
    logger.error(
        "internal error %s: %s at %s",
        *(incident, type(error).__name__, where),
        extra={"incident": incident},
    )
    return from_error(InternalError(f"Internal error {incident}."))
