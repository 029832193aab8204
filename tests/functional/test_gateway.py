"""HTTP to worker and back, over the in-memory service: real sealing, real operations.

Every bad request carries unique markers; none may be in the answer, its headers or any log.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from caas_tasks.limits import MAX_ITEM_BYTES, MAX_ITEMS
from gateway.app import create_app
from gateway.bodies import MAX_BATCH_BODY_BYTES, MAX_SINGLE_BODY_BYTES
from producer_client.testing import InMemoryService

pytestmark = pytest.mark.anyio

USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
MARKER = "marker-5d1f09"
MARKER_UUID = "5d1f0900-dead-4bad-8bad-5d1f09005d1f"
ITEM = {"userUUID": MARKER_UUID, "sensitiveData": MARKER}
JSON = {"Content-Type": "application/json"}
LIBRARY_LOGS = ("httpx", "httpcore")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def service() -> InMemoryService:
    return InMemoryService()


@pytest.fixture
async def http(service: InMemoryService) -> AsyncIterator[httpx.AsyncClient]:
    async with service.async_client() as client:
        transport = httpx.ASGITransport(create_app(client=client))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as caller:
            yield caller


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def assert_nothing_shown(
    response: httpx.Response, logged: pytest.LogCaptureFixture, *markers: str
) -> None:
    """None of the markers is in the answer, its headers or the service's logs."""
    formatter = logging.Formatter()
    log = "\n".join(
        formatter.format(record) + repr(record.args)
        for record in logged.records
        if not record.name.startswith(LIBRARY_LOGS)
    )
    everything = response.text + repr(response.headers.multi_items()) + log
    for marker in (MARKER, MARKER_UUID, *markers):
        assert marker not in everything


def encoded(service: InMemoryService, **fields: Any) -> bytes:
    """A body with the right API key."""
    return json.dumps({"apiKey": service.api_key, **fields}).encode()


async def test_encrypt_and_verify_fit(http: httpx.AsyncClient, service: InMemoryService) -> None:
    """What one gives the other takes."""
    item = {"apiKey": service.api_key, "userUUID": USER_UUID, "sensitiveData": "data"}
    encrypted = await http.post("/encrypt", json=item)
    assert encrypted.status_code == 200
    assert encrypted.json().keys() == {"encrypted_data"}
    version = int(encrypted.headers["CaaS-Key-Version"])
    verified = await http.post("/verify", json={**item, **encrypted.json(), "key_version": version})
    assert verified.json() == {"valid": True, "needs_update": False}
    wrong = await http.post("/verify", json={**item, **encrypted.json(), "sensitiveData": "x"})
    assert wrong.json() == {"valid": False, "needs_update": False}


async def test_candidates_hold_the_value(http: httpx.AsyncClient, service: InMemoryService) -> None:
    """The newest candidate is what `encrypt` gives."""
    item = {"apiKey": service.api_key, "userUUID": USER_UUID, "sensitiveData": "data"}
    encrypted = await http.post("/encrypt?include=key_version", json=item)
    candidates = await http.post("/candidates", json=item)
    assert candidates.json() == {"candidates": [encrypted.json()]}


async def test_blind_index_and_wrap_answer(
    http: httpx.AsyncClient, service: InMemoryService
) -> None:
    """Both give 96 hexadecimal characters and the key version."""
    headers = {"Authorization": f"Bearer {service.api_key}"}
    index = await http.post(
        "/blind_index", json={"field": "email", "value": "ada@example.org"}, headers=headers
    )
    (entry,) = index.json()["indexes"]
    assert (len(entry["index"]), entry["key_version"]) == (96, 1)
    wrap = await http.post(
        "/wrap", json={"userUUID": USER_UUID, "legacyDigest": "ab" * 16}, headers=headers
    )
    assert wrap.json().keys() == {"wrapped", "key_version"}


async def test_the_python_client_gives_the_same_value(
    http: httpx.AsyncClient, service: InMemoryService
) -> None:
    """The gateway is another way to the same service."""
    item = {"apiKey": service.api_key, "userUUID": USER_UUID, "sensitiveData": "data é 🔑"}
    response = await http.post("/encrypt", json=item)
    with service.client() as client:
        value = client.encrypt(USER_UUID, "data é 🔑").encrypted_data
    assert response.json() == {"encrypted_data": value}


async def test_a_batch_over_one_message_is_answered_whole(
    http: httpx.AsyncClient, service: InMemoryService
) -> None:
    """Items that need several messages come back as one list, in order."""
    items = [
        {"userUUID": USER_UUID, "sensitiveData": f"{number:05}" * 800, "reference": str(number)}
        for number in range(MAX_ITEMS)
    ]
    body = encoded(service, items=items)
    assert len(body) > 3 * 1024 * 1024
    response = await http.post("/batch/encrypt", content=body, headers=JSON, timeout=60)
    assert response.json()["status"] == "ok"
    assert [item["reference"] for item in response.json()["items"]] == [
        str(number) for number in range(MAX_ITEMS)
    ]
    assert len({item["encrypted_data"] for item in response.json()["items"]}) == MAX_ITEMS


async def test_bad_items_never_fail_their_neighbours(
    http: httpx.AsyncClient, service: InMemoryService, logged: pytest.LogCaptureFixture
) -> None:
    """Each kind of bad item gets its error in its place; the good ones get answers."""
    good = {"userUUID": USER_UUID, "sensitiveData": "data"}
    bad: list[Any] = [
        {**good, "userUUID": MARKER},
        {**good, "sensitiveData": "\ud800" + MARKER},
        {**good, "sensitiveData": MARKER + "x" * MAX_ITEM_BYTES},
        {**good, MARKER: 1},
        {**good, "apiKey": MARKER},
        {**good, "reference": 7},
        MARKER,
        [MARKER],
        None,
    ]
    items = [entry for each in bad for entry in (good, each)]
    body = encoded(service, items=items)
    response = await http.post("/batch/encrypt", content=body, headers=JSON)
    assert (response.status_code, response.json()["status"]) == (200, "partial")
    answers = response.json()["items"]
    assert all("encrypted_data" in answer for answer in answers[::2])
    codes = [answer["error"]["code"] for answer in answers[1::2]]
    assert codes == ["invalid_request"] * 2 + ["payload_too_large"] + ["invalid_request"] * 6
    assert_nothing_shown(response, logged)


BAD_FIELDS: dict[str, tuple[dict[str, Any], int]] = {
    "data one byte over": ({**ITEM, "sensitiveData": MARKER + "x" * (MAX_ITEM_BYTES - 12)}, 413),
    "data over in UTF-8": ({**ITEM, "sensitiveData": MARKER + "€" * (MAX_ITEM_BYTES // 3)}, 413),
    "data a number": ({**ITEM, "sensitiveData": 5109}, 400),
    "data null": ({**ITEM, "sensitiveData": None}, 400),
    "data missing": ({"userUUID": MARKER_UUID}, 400),
    "a lone surrogate in data": ({**ITEM, "sensitiveData": MARKER + "\udc00"}, 400),
    "a lone surrogate in a name": ({**ITEM, MARKER + "\ud800": 1}, 400),
    "UUID in braces": ({**ITEM, "userUUID": "{" + MARKER_UUID + "}"}, 400),
    "UUID of 31 digits": ({**ITEM, "userUUID": MARKER_UUID[:-1]}, 400),
    "UUID without hyphens": ({**ITEM, "userUUID": MARKER_UUID.replace("-", "")}, 400),
    "UUID with a line end": ({**ITEM, "userUUID": MARKER_UUID + "\n"}, 400),
    "UUID a number": ({**ITEM, "userUUID": 5109}, 400),
    "an unknown field": ({**ITEM, MARKER: MARKER}, 400),
    "items where one item belongs": ({"items": [ITEM]}, 400),
}


@pytest.mark.parametrize("name", BAD_FIELDS)
async def test_a_bad_field_is_refused(
    name: str,
    http: httpx.AsyncClient,
    service: InMemoryService,
    logged: pytest.LogCaptureFixture,
) -> None:
    """Each wrong field has its typed error, which shows nothing of it."""
    fields, status = BAD_FIELDS[name]
    response = await http.post("/encrypt", content=encoded(service, **fields), headers=JSON)
    assert response.status_code == status
    assert response.json()["code"] == {400: "invalid_request", 413: "payload_too_large"}[status]
    assert_nothing_shown(response, logged, service.api_key)


@pytest.mark.parametrize("data", ["", "x" * MAX_ITEM_BYTES, "\x00", "\n" * MAX_ITEM_BYTES])
async def test_data_at_the_edges_is_taken(
    data: str, http: httpx.AsyncClient, service: InMemoryService
) -> None:
    """Empty data and 64 KiB, control characters too, are data."""
    body = encoded(service, userUUID=USER_UUID.upper(), sensitiveData=data)
    response = await http.post("/encrypt", content=body, headers=JSON)
    assert response.status_code == 200


BAD_BODIES: dict[str, tuple[bytes, int]] = {
    "none": (b"", 400),
    "not JSON": (MARKER.encode(), 400),
    "half": (b'{"sensitiveData": "' + MARKER.encode(), 400),
    "not UTF-8": (b'{"sensitiveData": "' + MARKER.encode() + b'\xff"}', 400),
    "UTF-16": (json.dumps(ITEM).encode("utf-16"), 400),
    "with a byte order mark": (b"\xef\xbb\xbf" + json.dumps(ITEM).encode(), 400),
    "an array": (json.dumps([ITEM]).encode(), 400),
    "a string": (json.dumps(MARKER).encode(), 400),
    "null": (b"null", 400),
    "NaN": (b'{"sensitiveData": NaN, "userUUID": "' + MARKER.encode() + b'"}', 400),
    "a duplicate name": (b'{"%s": 1, "%s": 2}' % (MARKER.encode(), MARKER.encode()), 400),
    "a duplicate API key": (b'{"apiKey": "%s", "apiKey": "x"}' % MARKER.encode(), 400),
    "nested deep": (b"[" * 100_000, 400),
    "a number of many digits": (b'{"sensitiveData": ' + b"5109" * 5_000 + b"}", 400),
    "one byte over the limit": (b" " * MAX_SINGLE_BODY_BYTES + b"x", 413),
    "10 MB": (MARKER.encode() * 800_000, 413),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_refused(
    name: str,
    http: httpx.AsyncClient,
    service: InMemoryService,
    logged: pytest.LogCaptureFixture,
) -> None:
    """What is not one strict JSON object of bounded size has its typed error."""
    body, status = BAD_BODIES[name]
    headers = {**JSON, "Authorization": f"Bearer {service.api_key}"}
    response = await http.post("/encrypt", content=body, headers=headers)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert_nothing_shown(response, logged, service.api_key)


@pytest.mark.parametrize("count", [0, MAX_ITEMS + 1])
async def test_a_batch_of_a_wrong_length_is_refused(
    count: int,
    http: httpx.AsyncClient,
    service: InMemoryService,
    logged: pytest.LogCaptureFixture,
) -> None:
    """No items are an invalid request, 1,001 too many."""
    body = encoded(service, items=[ITEM] * count)
    response = await http.post("/batch/encrypt", content=body, headers=JSON)
    assert response.status_code == (413 if count else 400)
    assert_nothing_shown(response, logged, service.api_key)


async def test_a_batch_body_over_the_limit_is_refused(http: httpx.AsyncClient) -> None:
    """A batch may be larger than a single request, and has a limit all the same."""
    body = b" " * (MAX_BATCH_BODY_BYTES + 1)
    response = await http.post("/batch/encrypt", content=body, headers=JSON)
    assert response.status_code == 413


async def test_a_chunked_body_is_counted(http: httpx.AsyncClient) -> None:
    """A body without Content-Length is stopped at the limit."""
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1
            yield b" " * 64 * 1024

    response = await http.post("/encrypt", content=chunks(), headers=JSON)
    assert response.status_code == 413
    assert sent == MAX_SINGLE_BODY_BYTES // (64 * 1024) + 1


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_another_media_type_is_refused(
    content_type: str, http: httpx.AsyncClient, service: InMemoryService
) -> None:
    """A browser's form can't reach an operation."""
    headers = {"Content-Type": content_type}
    response = await http.post("/encrypt", content=encoded(service, **ITEM), headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")


def _bad_keys(service: InMemoryService) -> dict[str, str]:
    good = service.api_key
    revoked = service.add_api_key()
    service.revoke_api_key(revoked)
    return {
        "empty": "",
        "a word": MARKER,
        "cut off": good[:-1],
        "longer": good + "x",
        "in another case": good.swapcase(),
        "with a wrong checksum": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "with a line end": good + "\n",
        "a lone surrogate": "\ud800",
        "very long": "x" * 100_000,
        "of another service": InMemoryService().api_key,
        "revoked": revoked,
    }


@pytest.mark.parametrize("path", ["/encrypt", "/batch/encrypt"])
async def test_every_bad_key_has_the_same_answer(
    path: str, http: httpx.AsyncClient, service: InMemoryService, logged: pytest.LogCaptureFixture
) -> None:
    """Malformed, unknown or revoked: 401 and nothing that tells which."""
    item: dict[str, Any] = ITEM if path == "/encrypt" else {"items": [ITEM]}
    bodies = set()
    for key in _bad_keys(service).values():
        body = json.dumps({"apiKey": key, **item}).encode()
        response = await http.post(path, content=body, headers=JSON)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        bodies.add(response.content)
        assert_nothing_shown(response, logged, *([key] if len(key) > 10 else []))
    assert len(bodies) == 1


async def test_an_expired_key_is_unauthorized(
    http: httpx.AsyncClient, service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key whose time is over gets the answer of an unknown one."""
    expires_at = int(time.time()) + 60
    key = service.add_api_key(expires_at=expires_at)
    monkeypatch.setattr("producer_client.testing._now_s", lambda: expires_at)
    response = await http.post("/encrypt", json={"apiKey": key, **ITEM})
    assert response.status_code == 401


async def test_a_key_without_the_scope_is_forbidden(
    http: httpx.AsyncClient, service: InMemoryService
) -> None:
    """403 for the operation, 200 for the one that the key is for."""
    key = service.add_api_key(scopes=["verify"])
    assert (await http.post("/encrypt", json={"apiKey": key, **ITEM})).status_code == 403
    verify = {"apiKey": key, **ITEM, "encrypted_data": "ab" * 48}
    assert (await http.post("/verify", json=verify)).status_code == 200


async def test_an_unknown_key_version_can_be_tried_again(
    http: httpx.AsyncClient, service: InMemoryService
) -> None:
    """503 with Retry-After when no worker's file has the value's key version yet."""
    body = {"apiKey": service.api_key, **ITEM, "encrypted_data": "ab" * 48, "key_version": 9}
    response = await http.post("/verify", json=body)
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response.headers["retry-after"] == "1"


async def test_readiness_follows_the_service(http: httpx.AsyncClient) -> None:
    """Ready means that a worker opened a message and answered it."""
    assert (await http.get("/readyz")).status_code == 200


async def test_not_ready_without_a_broker(
    http: httpx.AsyncClient, service: InMemoryService
) -> None:
    """The reason is the code of what is missing."""
    with service.outage():
        response = await http.get("/readyz")
    assert response.status_code == 503
    assert response.json()["reason"] in {"unavailable", "timeout"}


async def test_no_answer_is_a_timeout(service: InMemoryService) -> None:
    """When no worker answers the caller gets 504, in the gateway's time."""
    async with service.async_client(timeout_s=0.05) as client:
        transport = httpx.ASGITransport(create_app(client=client))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
            with service.silence():
                response = await http.post("/encrypt", json={"apiKey": service.api_key, **ITEM})
    assert (response.status_code, response.json()["code"]) == (504, "timeout")
