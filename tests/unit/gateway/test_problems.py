"""Problem details: one for every code, with nothing in them but this project's own words."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest

from caas_tasks.errors import ERRORS_BY_CODE, RateLimitedError, ServiceError
from gateway import problems

ITEM = {"userUUID": "4dbcbcfe-4800-40a8-badf-c26b73af230c", "sensitiveData": "marker-5d1f"}


def test_every_code_has_a_title() -> None:
    """The titles are those of the error tree and of the two that only routes have."""
    routes = {problems.NOT_FOUND, problems.METHOD_NOT_ALLOWED}
    assert set(problems.TITLES) == set(ERRORS_BY_CODE) | routes


@pytest.mark.anyio
@pytest.mark.parametrize("code", sorted(ERRORS_BY_CODE))
async def test_every_error_becomes_its_problem(
    code: str, scripted: Any, http: httpx.AsyncClient, key: str
) -> None:
    """Each code has the status of the specification's table and the members of RFC 9457."""
    error_type = ERRORS_BY_CODE[code]
    scripted.outcome = error_type()
    response = await http.post("/encrypt", json={"apiKey": key, **ITEM})
    assert response.status_code == error_type.http_status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": f"urn:caas:error:{code}",
        "title": problems.TITLES[code],
        "status": error_type.http_status,
        "code": code,
        "detail": error_type.default_message,
    }


@pytest.mark.anyio
async def test_an_items_error_becomes_the_problem_of_a_single_request(
    scripted: Any, http: httpx.AsyncClient, key: str
) -> None:
    """An error in the item's place is the request's error."""
    scripted.outcome = [RateLimitedError(retry_after_s=2.2)]
    response = await http.post("/encrypt", json={"apiKey": key, **ITEM})
    assert response.status_code == 429
    assert response.headers["retry-after"] == "3"
    assert response.json()["retry_after"] == 2.2


@pytest.mark.anyio
async def test_unauthorized_names_the_scheme(
    scripted: Any, http: httpx.AsyncClient, key: str
) -> None:
    """A 401 says how to authenticate (RFC 9110, section 15.5.2)."""
    scripted.outcome = ERRORS_BY_CODE["unauthorized"]()
    response = await http.post("/encrypt", json={"apiKey": key, **ITEM})
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("seconds", "header"), [(0.0, b"1"), (1.0, b"1"), (1.01, b"2")])
def test_retry_after_is_whole_seconds_and_never_too_early(seconds: float, header: bytes) -> None:
    """The header is rounded up and at least a second."""
    problem = problems.from_error(RateLimitedError(retry_after_s=seconds))
    assert (b"retry-after", header) in list(problem.headers)


@pytest.mark.parametrize("error_type", [KeyError, UnicodeDecodeError, RuntimeError])
def test_an_incident_is_logged_without_its_message(
    error_type: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """Log and answer share an id; the log has type and place, the answer nothing more."""
    arguments: Any = ("marker-5d1f",)
    if error_type is UnicodeDecodeError:
        arguments = ("utf-8", b"marker-5d1f", 0, 1, "marker-5d1f")
    try:
        raise error_type(*arguments)
    except Exception as error:  # noqa: BLE001 - the subject of the test
        with caplog.at_level(logging.DEBUG):
            problem = problems.internal(error)
    incident = problem.detail.removeprefix("Internal error ").removesuffix(".")
    assert len(incident) == 16
    assert incident in caplog.text
    assert error_type.__name__ in caplog.text
    assert "test_problems.py" in caplog.text
    assert "marker-5d1f" not in caplog.text + problem.body().decode()


def test_a_problem_is_json() -> None:
    """The body is the members."""
    assert json.loads(problems.not_found().body()) == problems.not_found().members()


def test_errors_are_service_errors() -> None:
    """The table that the problems are tested against holds the whole tree."""
    assert set(ERRORS_BY_CODE.values()) == set(ServiceError.__subclasses__())
