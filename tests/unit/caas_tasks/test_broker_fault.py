"""Why a broker can't be used: a fixed sentence for each cause, and nothing of what came in."""

from __future__ import annotations

import socket
import ssl

import pytest
import redis
from redis.exceptions import NoPermissionError
from redis.sentinel import MasterNotFoundError

from caas_tasks.broker_fault import UNREACHABLE, reason_of, unavailable
from caas_tasks.errors import ServiceUnavailableError

CANARY = "canary-41b7"


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, CANARY)
    error.verify_code = code
    return error


def tls_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, CANARY)
    error.reason = reason
    return error


def wrapped(cause: BaseException) -> redis.ConnectionError:
    """As redis-py raises what its socket raised."""
    try:
        try:
            raise cause
        except type(cause):
            raise redis.ConnectionError(CANARY)  # noqa: B904 - as redis-py does
    except redis.ConnectionError as error:
        return error


CASES = [
    (certificate_error(10), "its certificate has expired"),
    (certificate_error(9), "its certificate is not valid yet"),
    (certificate_error(19), "its certificate is signed by no authority that is trusted here"),
    (certificate_error(20), "its certificate is signed by no authority that is trusted here"),
    (certificate_error(62), "its certificate is for another host name"),
    (certificate_error(64), "its certificate is for another address"),
    (certificate_error(7), "its certificate is refused"),
    (tls_error("TLSV1_ALERT_UNKNOWN_CA"), "it does not trust the client certificate"),
    (tls_error("WRONG_VERSION_NUMBER"), "it does not speak TLS on this port"),
    (tls_error(""), "TLS with it fails"),
    (redis.AuthenticationError(CANARY), "it refuses the user or the password"),
    (NoPermissionError(CANARY), "the user lacks a right there"),
]
PASSING = [
    (redis.TimeoutError(CANARY), "it does not answer in time"),
    (TimeoutError(CANARY), "it does not answer in time"),
    (socket.gaierror(1, CANARY), "its name is not known"),
    (ConnectionRefusedError(1, CANARY), "nothing listens there"),
    (MasterNotFoundError(CANARY), "no sentinel names a primary"),
    (ssl.SSLEOFError(1, CANARY), "it ended the connection; "),
    (ConnectionResetError(1, CANARY), UNREACHABLE),
    (ValueError(CANARY), UNREACHABLE),
]


@pytest.mark.parametrize(("error", "reason"), [*CASES, *PASSING])
def test_reason(error: BaseException, reason: str) -> None:
    """The cause is found by itself and below what redis-py wraps it in."""
    for each in (error, wrapped(error)):
        assert reason_of(each).startswith(reason)
        assert CANARY not in reason_of(each)


@pytest.mark.parametrize(("error", "reason"), CASES)
def test_caller_is_told_what_waiting_does_not_mend(error: BaseException, reason: str) -> None:
    """A refusal's reason stands in the caller's error."""
    assert str(unavailable(wrapped(error))) == f"The message broker cannot be used: {reason}."


@pytest.mark.parametrize("error", [redis.TimeoutError(CANARY), ConnectionResetError(1, CANARY)])
def test_what_comes_and_goes_has_the_usual_text(error: BaseException) -> None:
    """A broker that is away is told as ever."""
    assert unavailable(wrapped(error)) == ServiceUnavailableError()


def test_a_circle_of_causes_ends() -> None:
    """An exception that is its own cause's cause is looked at once."""
    first, second = ValueError(CANARY), ValueError(CANARY)
    first.__cause__, second.__cause__ = second, first
    assert reason_of(first) == UNREACHABLE
