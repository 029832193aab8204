"""The error tree is total, coded as the specification says, and survives pickling."""

from __future__ import annotations

import copy
import pickle

import pytest

from caas_tasks import errors
from caas_tasks.errors import (
    ERRORS_BY_CODE,
    CaasError,
    ConfigurationError,
    InternalError,
    RateLimitedError,
    ServiceError,
    UnauthorizedError,
    error_from_wire,
)

TABLE = {
    "invalid_request": ("InvalidRequestError", 400),
    "unauthorized": ("UnauthorizedError", 401),
    "forbidden": ("ForbiddenError", 403),
    "payload_too_large": ("PayloadTooLargeError", 413),
    "rate_limited": ("RateLimitedError", 429),
    "key_unavailable": ("KeyUnavailableError", 409),
    "undecryptable": ("UndecryptableError", 422),
    "unreadable": ("UnreadableMessageError", 502),
    "unavailable": ("ServiceUnavailableError", 503),
    "timeout": ("RequestTimeoutError", 504),
    "internal": ("InternalError", 500),
}
"""The table of docs/spec.md, section 7."""


def all_subclasses(error_type: type) -> set[type]:
    """Every class below one, at any depth."""
    found = set(error_type.__subclasses__())
    return found.union(*(all_subclasses(child) for child in found)) if found else found


def test_codes_are_those_of_the_specification() -> None:
    """Codes, class names and HTTP statuses are the specification's, no more and no fewer."""
    found = {code: (e.__name__, e.http_status) for code, e in ERRORS_BY_CODE.items()}
    assert found == TABLE


def test_every_service_error_has_its_code() -> None:
    """No subclass is left out of the table that the wire is read with."""
    shipped = {e for e in all_subclasses(ServiceError) if e.__module__ == errors.__name__}
    assert shipped == set(ERRORS_BY_CODE.values())


def test_everything_is_caught_by_the_root() -> None:
    """One class catches all that this project raises on purpose."""
    assert issubclass(ServiceError, CaasError)
    assert issubclass(ConfigurationError, CaasError)
    assert not issubclass(ConfigurationError, ServiceError)


@pytest.mark.parametrize("error_type", ERRORS_BY_CODE.values())
def test_every_error_says_something_by_itself(error_type: type[ServiceError]) -> None:
    """Without arguments an error has its class's one sentence and no time to wait."""
    error = error_type()
    assert str(error) == error.message == error_type.default_message
    assert error.message.endswith(".")
    assert error.retry_after_s is None


@pytest.mark.parametrize("error_type", ERRORS_BY_CODE.values())
@pytest.mark.parametrize("clone", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_errors_survive_pickling(error_type: type[ServiceError], clone: object) -> None:
    """Class, message and time to wait come back from a pickle."""
    error = error_type("A sentence.", retry_after_s=2.5)
    found = clone(error)  # type: ignore[operator]
    assert type(found) is error_type
    assert (found.message, found.retry_after_s, str(found)) == ("A sentence.", 2.5, "A sentence.")


def test_equal_errors_are_equal() -> None:
    """Errors compare by class, message and time to wait."""
    assert UnauthorizedError() == UnauthorizedError()
    assert len({UnauthorizedError(), UnauthorizedError()}) == 1


@pytest.mark.parametrize(
    "other",
    [InternalError("A."), RateLimitedError("B."), RateLimitedError("A.", retry_after_s=1), "A."],
)
def test_different_errors_differ(other: object) -> None:
    """A difference in any of the three makes two errors differ."""
    assert RateLimitedError("A.") != other


@pytest.mark.parametrize("code", ERRORS_BY_CODE)
def test_wire_errors_get_their_class(code: str) -> None:
    """A known code with a message and a time to wait becomes its class with both."""
    error = error_from_wire(code, "A sentence.", 3)
    assert type(error) is ERRORS_BY_CODE[code]
    assert (error.message, error.retry_after_s) == ("A sentence.", 3.0)


@pytest.mark.parametrize("code", ["new_in_2030", "", None, 7, ["internal"]])
def test_unknown_code_is_internal(code: object) -> None:
    """A code that this release does not know is an internal error, its text not taken over."""
    assert error_from_wire(code, "A sentence.", 3) == InternalError()


@pytest.mark.parametrize("value", [None, 7, ["x"], {}])
def test_malformed_wire_fields_fall_back(value: object) -> None:
    """A message that is no text becomes the class's own; a time that is no number none."""
    error = error_from_wire("rate_limited", value, str(value))
    assert error == RateLimitedError()
