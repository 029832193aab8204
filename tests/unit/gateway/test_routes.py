"""The operations' endpoints around a client that answers as it is told."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from caas_tasks.errors import ForbiddenError, RateLimitedError, UnauthorizedError
from caas_tasks.limits import MAX_ITEMS
from caas_tasks.names import Operation
from gateway import examples
from gateway.app import create_app

pytestmark = pytest.mark.anyio

UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
ITEM = {"userUUID": UUID, "sensitiveData": "marker-5d1f"}
VALUE = {"encrypted_data": "ab" * 48, "key_version": 3}
POST_PATHS = [
    *(f"/{operation.value}" for operation in Operation),
    *(f"/batch/{operation.value}" for operation in Operation),
]
GET_PATHS = ["/healthz", "/readyz", "/openapi.json", "/docs"]


async def test_encrypt_answers_in_the_published_shape(http: httpx.AsyncClient, key: str) -> None:
    """The body has the one field; the key version is a header."""
    response = await http.post("/encrypt", json={"apiKey": key, **ITEM})
    assert response.content == b'{"encrypted_data":"%s"}' % (b"ab" * 48)
    assert response.headers["caas-key-version"] == "3"
    assert response.headers["content-type"] == "application/json"


async def test_encrypt_gives_the_key_version_on_request(http: httpx.AsyncClient, key: str) -> None:
    """With `include=key_version` it stands in the body too."""
    response = await http.post("/encrypt?include=key_version", json={"apiKey": key, **ITEM})
    assert response.json() == VALUE
    assert response.headers["caas-key-version"] == "3"


@pytest.mark.parametrize("path", ["/encrypt?include=secrets", "/verify?include=key_version"])
async def test_another_query_is_refused(http: httpx.AsyncClient, key: str, path: str) -> None:
    """A query ends up in other programs' logs, so none is taken that could hold data."""
    response = await http.post(path, json={"apiKey": key, **ITEM})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("operation", list(Operation))
async def test_each_operation_passes_its_item_on(
    operation: Operation, scripted: Any, http: httpx.AsyncClient, key: str
) -> None:
    """The client gets operation, item and API key as they came."""
    scripted.outcome = [examples.ANSWERS[operation]]
    item = examples.ITEMS[operation]
    response = await http.post(f"/{operation.value}", json={"apiKey": key, **item})
    assert response.json() == examples.single_answer(operation)
    assert scripted.requests == [(operation, [item], key)]


async def test_the_key_may_come_in_the_header(
    scripted: Any, http: httpx.AsyncClient, key: str
) -> None:
    """A bearer key is passed on like one in the body."""
    headers = {"Authorization": f"Bearer {key}"}
    response = await http.post("/encrypt", json=ITEM, headers=headers)
    assert response.status_code == 200
    assert scripted.requests[0][2] == key


async def test_a_reference_is_for_batches(http: httpx.AsyncClient, key: str) -> None:
    """A single request's answer has no place for one."""
    response = await http.post("/encrypt", json={"apiKey": key, **ITEM, "reference": "a"})
    assert response.status_code == 400


async def test_a_bad_item_does_not_reach_the_client(
    scripted: Any, http: httpx.AsyncClient, key: str
) -> None:
    """Form is checked first."""
    response = await http.post("/encrypt", json={"apiKey": key, "userUUID": UUID})
    assert response.json()["detail"] == "sensitiveData is required."
    assert scripted.requests == []


async def test_a_batch_answers_item_by_item(
    scripted: Any, http: httpx.AsyncClient, key: str
) -> None:
    """Bad items, worker's errors and answers keep their places and references."""
    scripted.outcome = [VALUE, RateLimitedError(retry_after_s=4.0), VALUE]
    items = [
        {**ITEM, "reference": "first"},
        {"userUUID": "marker-9c2e", "sensitiveData": "x", "reference": "second"},
        {**ITEM, "reference": "third"},
        "marker-9c2e",
        ITEM,
    ]
    response = await http.post("/batch/encrypt", json={"apiKey": key, "items": items})
    assert response.status_code == 200
    limited = {"code": "rate_limited", "message": RateLimitedError.default_message}
    assert response.json() == {
        "items": [
            {**VALUE, "reference": "first"},
            {
                "error": {
                    "code": "invalid_request",
                    "message": "userUUID is not of the expected form.",
                },
                "reference": "second",
            },
            {"error": {**limited, "retry_after": 4.0}, "reference": "third"},
            {"error": {"code": "invalid_request", "message": "An item must be a JSON object."}},
            VALUE,
        ],
        "status": "partial",
    }


async def test_only_good_items_are_sent(scripted: Any, http: httpx.AsyncClient, key: str) -> None:
    """Neither a bad item nor a reference travels to the workers."""
    items = [{**ITEM, "reference": "a"}, {}, ITEM]
    await http.post("/batch/encrypt", json={"apiKey": key, "items": items})
    assert scripted.requests == [(Operation.ENCRYPT, [ITEM, ITEM], key)]


async def test_a_batch_without_failures_is_ok(http: httpx.AsyncClient, key: str) -> None:
    """The status says so at one look."""
    response = await http.post("/batch/encrypt", json={"apiKey": key, "items": [ITEM] * MAX_ITEMS})
    assert response.json()["status"] == "ok"
    assert len(response.json()["items"]) == MAX_ITEMS


async def test_a_batch_of_failures_is_failed(
    scripted: Any, http: httpx.AsyncClient, key: str
) -> None:
    """When no item is sound, nothing is sent and the status is `failed`."""
    response = await http.post("/batch/encrypt", json={"apiKey": key, "items": [{}, 7]})
    assert response.json()["status"] == "failed"
    assert scripted.requests == []


@pytest.mark.parametrize("error_type", [UnauthorizedError, ForbiddenError])
async def test_a_refused_batch_is_a_problem(
    error_type: type[Exception], scripted: Any, http: httpx.AsyncClient, key: str
) -> None:
    """What concerns the whole request has its status."""
    scripted.outcome = error_type()
    response = await http.post("/batch/encrypt", json={"apiKey": key, "items": [ITEM]})
    assert response.status_code == error_type.http_status  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"items": None}, 400),
        ({"items": {}}, 400),
        ({"items": []}, 400),
        ({"items": [ITEM] * (MAX_ITEMS + 1)}, 413),
        ({"items": [ITEM], "extra": 1}, 400),
    ],
)
async def test_a_batch_of_a_wrong_shape_is_refused(
    body: dict[str, Any], status: int, http: httpx.AsyncClient, key: str
) -> None:
    """A batch has 1 to 1,000 items and no other field."""
    response = await http.post("/batch/encrypt", json={"apiKey": key, **body})
    assert response.status_code == status


@pytest.mark.parametrize("answers", [[], [VALUE, VALUE]])
async def test_a_wrong_number_of_answers_is_an_error(
    answers: list[Any], scripted: Any, http: httpx.AsyncClient, key: str
) -> None:
    """No item ever gets its neighbour's answer."""
    scripted.outcome = answers
    response = await http.post("/batch/encrypt", json={"apiKey": key, "items": [ITEM]})
    assert response.status_code == 500


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", POST_PATHS)
async def test_operations_take_only_post(http: httpx.AsyncClient, path: str, method: str) -> None:
    """Any other method gets 405, what is allowed, and a JSON problem."""
    response = await http.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert response.headers["content-type"] == "application/problem+json"
    if method != "HEAD":  # whose answer has no body
        assert response.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", GET_PATHS)
async def test_other_pages_take_only_get(http: httpx.AsyncClient, path: str) -> None:
    """They say so, always in the same order."""
    response = await http.post(path, json={})
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path", ["/marker-5d1f", "/", "/encrypt/", "/ENCRYPT", "/batch", "/batch/marker-5d1f"]
)
async def test_an_unknown_path_is_a_problem(http: httpx.AsyncClient, path: str) -> None:
    """404 without a redirect and without the path."""
    response = await http.post(path, json={})
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert "marker-5d1f" not in response.text


async def test_an_unexpected_exception_is_an_incident(
    scripted: Any, http: httpx.AsyncClient, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer has an id and nothing else; the log has the id, not the exception's message."""
    scripted.outcome = RuntimeError(f"marker-5d1f {key}")
    with caplog.at_level(logging.DEBUG):
        response = await http.post("/encrypt", json={"apiKey": key, **ITEM})
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert response.json()["detail"].split()[-1].rstrip(".") in caplog.text
    assert key not in caplog.text + response.text
    assert "marker-5d1f" not in caplog.text + response.text


async def test_before_the_start_it_is_unavailable(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that comes when no client is open gets a typed error."""
    monkeypatch.setattr("gateway.app.load_settings", lambda _settings_class: None)
    transport = httpx.ASGITransport(create_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        response = await http.post("/encrypt", json={"apiKey": key, **ITEM})
    assert response.status_code == 503
