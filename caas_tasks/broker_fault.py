"""Why a broker can't be used, in one fixed sentence: nothing of an address or an answer in it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

import redis
from redis.exceptions import NoPermissionError
from redis.sentinel import MasterNotFoundError

from caas_tasks.errors import ServiceUnavailableError

UNREACHABLE: Final = "it can't be reached"
_NO_ANSWER: Final = "it does not answer in time"
_NOTHING_LISTENS: Final = "nothing listens there"
# With TLS 1.3 a client may learn of a refusal only by its connection's end.
_ENDS: Final = "it ended the connection; it may ask for a client certificate, see CAAS_BROKER_CERT"
_COMES_AND_GOES: Final = frozenset({UNREACHABLE, _NO_ANSWER, _NOTHING_LISTENS, _ENDS})

# OpenSSL's codes for why a certificate is refused (`x509_vfy.h`), and what they mean here.
_CERTIFICATE_REASONS: Final = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is signed by no authority that is trusted here",
    19: "its certificate is signed by no authority that is trusted here",
    20: "its certificate is signed by no authority that is trusted here",
    21: "its certificate is signed by no authority that is trusted here",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}
_ALERT_REASONS: Final = {
    "CERTIFICATE_REQUIRED": "it asks for a client certificate, see CAAS_BROKER_CERT",
    "UNKNOWN_CA": "it does not trust the client certificate",
    "BAD_CERTIFICATE": "it does not take the client certificate",
    "CERTIFICATE_EXPIRED": "it finds the client certificate expired",
    "WRONG_VERSION_NUMBER": "it does not speak TLS on this port",
    "PROTOCOL_VERSION": "it speaks no version of TLS that is safe",
}


_REASONS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (redis.AuthenticationError, "it refuses the user or the password"),
    (NoPermissionError, "the user lacks a right there"),
    (redis.TimeoutError, _NO_ANSWER),
    (TimeoutError, _NO_ANSWER),
    (socket.gaierror, "its name is not known"),
    (ConnectionRefusedError, _NOTHING_LISTENS),
    (MasterNotFoundError, "no sentinel names a primary"),
)


def reason_of(error: BaseException) -> str:
    """What to tell a person, such as `its certificate has expired`."""
    # redis-py wraps what the socket raised, and keeps it as cause or context.
    for each in _chain(error):
        if isinstance(each, ssl.SSLError):
            return _reason_of_tls(each)
        for error_type, reason in _REASONS:
            if isinstance(each, error_type):
                return reason
    return UNREACHABLE


def unavailable(error: BaseException) -> ServiceUnavailableError:
    """What a caller gets for an error of the broker's connection.

    Its message has the reason only where waiting does not help: a refused certificate or login.
    """
    reason = reason_of(error)
    if reason in _COMES_AND_GOES:
        return ServiceUnavailableError()
    return ServiceUnavailableError(f"The message broker cannot be used: {reason}.")


def _reason_of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_REASONS.get(error.verify_code, "its certificate is refused")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return _ENDS
    name = str(error.reason or "")
    found = (text for ending, text in _ALERT_REASONS.items() if name.endswith(ending))
    return next(found, "TLS with it fails")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what caused it, the deepest first: that is the one that knows why."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return reversed(found)
