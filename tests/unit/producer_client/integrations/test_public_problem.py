"""What a main server's callers are told about a service error."""

from __future__ import annotations

import logging

import pytest

from caas_tasks.errors import ERRORS_BY_CODE, RateLimitedError, ServiceError
from producer_client.integrations.public_problem import public_problem

SHOWN = {"invalid_request", "payload_too_large", "rate_limited", "unavailable", "timeout"}


@pytest.mark.parametrize("error_type", ERRORS_BY_CODE.values(), ids=ERRORS_BY_CODE.keys())
def test_every_error_has_a_problem(error_type: type[ServiceError]) -> None:
    """What the caller can do something about keeps its code; the rest is internal."""
    problem = public_problem(error_type())
    code = error_type.code if error_type.code in SHOWN else "internal"
    assert (problem.code, problem.members()["code"]) == (code, code)


def test_what_is_hidden_outside_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever runs the main server finds the code in its log."""
    with caplog.at_level(logging.ERROR):
        public_problem(ERRORS_BY_CODE["unauthorized"]())
    assert "unauthorized" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "header", "words"),
    [
        (0.2, "1", "1 second"),
        (41.2, "42", "42 seconds"),
        (120, "120", "120 seconds"),
        (121, "121", "3 minutes"),
        (7_200, "7200", "120 minutes"),
        (30_000, "30000", "9 hours"),
    ],
)
def test_a_wait_is_never_too_short(seconds: float, header: str, words: str) -> None:
    """Seconds are rounded up, and so is what is said in words."""
    problem = public_problem(RateLimitedError(retry_after_s=seconds))
    assert (problem.headers(), problem.wait) == ({"Retry-After": header}, words)


def test_a_limit_without_a_time_has_no_header() -> None:
    """Nothing is made up."""
    assert public_problem(RateLimitedError()).headers() == {}
