"""The error tree. Only a code and a fixed message cross the wire (docs/spec.md, section 7).

    CaasError
    ├── ConfigurationError        a setting or key is missing or wrong; never crosses the wire
    └── ServiceError              has a stable `code` and an HTTP status
        ├── InvalidRequestError       invalid_request     400
        ├── UnauthorizedError         unauthorized        401
        ├── ForbiddenError            forbidden           403
        ├── KeyUnavailableError       key_unavailable     409
        ├── PayloadTooLargeError      payload_too_large   413
        ├── UndecryptableError        undecryptable       422
        ├── RateLimitedError          rate_limited        429   (with `retry_after_s`)
        ├── InternalError             internal            500   (with an id to look up)
        ├── UnreadableMessageError    unreadable          502
        ├── ServiceUnavailableError   unavailable         503
        └── RequestTimeoutError       timeout             504

No message repeats a value that came in: texts are constants of this project, never built from
input.
"""

from __future__ import annotations

from typing import ClassVar, Final


class CaasError(Exception):
    """Root of everything this project raises on purpose."""


class ConfigurationError(CaasError):
    """A setting, key or file is missing or wrong: the message names it, never its value."""


class ServiceError(CaasError):
    """A request failed, for the reason that the class and its `code` give.

    Attributes:
        code: stable, machine-readable, the same on every surface.
        http_status: what the gateway answers with.
        message: one fixed sentence for a person.
        retry_after_s: seconds after which another try makes sense, or None.
    """

    code: ClassVar[str]
    http_status: ClassVar[int]
    default_message: ClassVar[str]

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None) -> None:
        self.message = message or self.default_message
        self.retry_after_s = retry_after_s
        super().__init__(self.message)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.retry_after_s))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ServiceError):
            return NotImplemented
        return (type(self), self.message, self.retry_after_s) == (
            type(other),
            other.message,
            other.retry_after_s,
        )

    def __hash__(self) -> int:
        return hash((type(self), self.message, self.retry_after_s))


def _rebuild(
    error_type: type[ServiceError], message: str, retry_after_s: float | None
) -> ServiceError:
    return error_type(message, retry_after_s=retry_after_s)


class InvalidRequestError(ServiceError):
    """A field is missing, unknown or of the wrong form."""

    code = "invalid_request"
    http_status = 400
    default_message = "The request is not of the expected form."


class UnauthorizedError(ServiceError):
    """The API key is unknown, malformed, expired or revoked: one answer for all."""

    code = "unauthorized"
    http_status = 401
    default_message = "The API key is not valid."


class ForbiddenError(ServiceError):
    """The API key lacks the scope of the operation."""

    code = "forbidden"
    http_status = 403
    default_message = "The API key does not have the scope of this operation."


class KeyUnavailableError(ServiceError):
    """The value's key version is disabled, destroyed or below the minimum for checking."""

    code = "key_unavailable"
    http_status = 409
    default_message = "The key version of this value is not available."


class PayloadTooLargeError(ServiceError):
    """An item, a batch or a message is over its size limit."""

    code = "payload_too_large"
    http_status = 413
    default_message = "The request is larger than the limit."


class UndecryptableError(ServiceError):
    """A token or value is not authentic for this user and context."""

    code = "undecryptable"
    http_status = 422
    default_message = "The value is not authentic for this user and context."


class RateLimitedError(ServiceError):
    """The budget of guesses for this user is used up; see `retry_after_s`."""

    code = "rate_limited"
    http_status = 429
    default_message = "Too many requests for this user."


class InternalError(ServiceError):
    """Anything else; the message holds an id that the worker's log has too, and nothing more."""

    code = "internal"
    http_status = 500
    default_message = "Internal error."


class UnreadableMessageError(ServiceError):
    """The worker could not open the message: one answer for every cause."""

    code = "unreadable"
    http_status = 502
    default_message = "The service could not open the message."


class ServiceUnavailableError(ServiceError):
    """The broker could not be reached, or the worker doesn't know the value's key version yet."""

    code = "unavailable"
    http_status = 503
    default_message = "The message broker cannot be reached."


class RequestTimeoutError(ServiceError):
    """No answer came before the deadline."""

    code = "timeout"
    http_status = 504
    default_message = "No answer came before the deadline."


ERRORS_BY_CODE: Final[dict[str, type[ServiceError]]] = {
    error_type.code: error_type
    for error_type in (
        InvalidRequestError,
        UnauthorizedError,
        ForbiddenError,
        KeyUnavailableError,
        PayloadTooLargeError,
        UndecryptableError,
        RateLimitedError,
        InternalError,
        UnreadableMessageError,
        ServiceUnavailableError,
        RequestTimeoutError,
    )
}
"""Every wire code and its class; a test holds it to the tree above."""


def error_from_wire(code: object, message: object, retry_after_s: object = None) -> ServiceError:
    """The error object for an answer's `error` field; an unknown code is internal."""
    error_type = ERRORS_BY_CODE.get(code) if isinstance(code, str) else None
    text = message if isinstance(message, str) else None
    seconds = float(retry_after_s) if isinstance(retry_after_s, int | float) else None
    if error_type is None:
        return InternalError()
    return error_type(text, retry_after_s=seconds)
