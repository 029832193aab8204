"""Reading requests: what is refused, and how little is read of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from caas_tasks.errors import InvalidRequestError, PayloadTooLargeError, UnauthorizedError
from caas_tasks.limits import MAX_ITEM_BYTES
from gateway import bodies
from gateway.bodies import ClientGoneError, Head, read_head, read_object, take_api_key

pytestmark = pytest.mark.anyio

JSON_HEAD = Head(b"application/json", b"", None, None)


class Sender:
    """An ASGI `receive` that gives chunks and counts how many were taken."""

    def __init__(self, *chunks: bytes, ends: bool = True) -> None:
        self._chunks = list(chunks)
        self._ends = ends
        self.taken = 0

    async def __call__(self) -> dict[str, Any]:
        if self.taken == len(self._chunks):
            return {"type": "http.disconnect"}
        self.taken += 1
        more_body = not self._ends or self.taken < len(self._chunks)
        chunk = self._chunks[self.taken - 1]
        return {"type": "http.request", "body": chunk, "more_body": more_body}


def scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "headers": list(headers)}


async def test_a_body_in_chunks_is_put_together() -> None:
    """Chunks become one object."""
    assert await read_object(JSON_HEAD, Sender(b'{"a"', b":1", b"}"), 100) == {"a": 1}


@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"Application/JSON", b"application/json; charset=utf-8"],
)
async def test_json_is_known_by_its_media_type(content_type: bytes) -> None:
    """Case and parameters of the media type make no difference."""
    head = Head(content_type, b"", None, None)
    assert await read_object(head, Sender(b"{}"), 100) == {}


@pytest.mark.parametrize("content_type", [b"", b"text/plain", b"application/jsonx", b"text/json"])
async def test_another_media_type_is_refused_unread(content_type: bytes) -> None:
    """Nothing is read of a body that doesn't say it is JSON."""
    sender = Sender(b"{}")
    with pytest.raises(InvalidRequestError, match="Content-Type"):
        await read_object(Head(content_type, b"", None, None), sender, 100)
    assert sender.taken == 0


async def test_a_compressed_body_is_refused_unread() -> None:
    """A small body can't grow into a large one."""
    sender = Sender(b"{}")
    with pytest.raises(InvalidRequestError, match="compressed"):
        await read_object(Head(b"application/json", b"gzip", None, None), sender, 100)
    assert sender.taken == 0


async def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    """Content-Length over the limit is enough."""
    sender = Sender(b"x" * 101)
    with pytest.raises(PayloadTooLargeError):
        await read_object(Head(b"application/json", b"", 101, None), sender, 100)
    assert sender.taken == 0


async def test_reading_stops_at_the_limit() -> None:
    """Of an endless body no more is taken than shows that it is too large."""
    sender = Sender(*[b"x" * 40] * 1_000)
    with pytest.raises(PayloadTooLargeError):
        await read_object(JSON_HEAD, sender, 100)
    assert sender.taken == 3


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    """The limit itself is allowed."""
    assert await read_object(JSON_HEAD, Sender(b"{}" + b" " * 98), 100) == {}


async def test_no_body_is_refused() -> None:
    """An empty body is no JSON object."""
    with pytest.raises(InvalidRequestError, match="no body"):
        await read_object(JSON_HEAD, Sender(b""), 100)


async def test_a_caller_that_hangs_up_is_not_answered() -> None:
    """A body that ends early means that nobody waits."""
    with pytest.raises(ClientGoneError):
        await read_object(JSON_HEAD, Sender(b"{", ends=False), 100)


async def test_a_stalled_sender_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that stops coming ends in an error, not in a wait without end."""
    monkeypatch.setattr(bodies, "READ_TIMEOUT_S", 0.0)

    async def stalled() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(InvalidRequestError, match="in time"):
        await read_object(JSON_HEAD, stalled, 100)


async def test_the_single_limit_takes_the_largest_data_fully_escaped() -> None:
    """64 KiB of data, each byte as six characters of JSON, fit."""
    raw = b'{"sensitiveData":"' + b"\\u0041" * MAX_ITEM_BYTES + b'"}'
    body = await read_object(JSON_HEAD, Sender(raw), bodies.MAX_SINGLE_BODY_BYTES)
    assert body == {"sensitiveData": "A" * MAX_ITEM_BYTES}


def test_the_head_is_read_in_any_order() -> None:
    """The four headers that matter are found among others."""
    head = read_head(
        scope(
            (b"host", b"gateway"),
            (b"content-length", b"12"),
            (b"authorization", b"bEARER key"),
            (b"content-encoding", b"gzip"),
            (b"content-type", b"application/json"),
        )
    )
    assert head == Head(b"application/json", b"gzip", 12, "key")


def test_a_content_length_that_is_no_number_is_left_to_the_count() -> None:
    """The server refuses those; behind one that doesn't, bytes are counted all the same."""
    assert read_head(scope((b"content-length", b"-1"))).content_length is None


@pytest.mark.parametrize("value", [b"Basic a2V5", b"Bearer", b"Bearer ", b"", b"key"])
def test_another_authorization_is_refused(value: bytes) -> None:
    """Only `Bearer <API key>` is an Authorization that the gateway knows."""
    with pytest.raises(InvalidRequestError, match="Authorization"):
        read_head(scope((b"authorization", value)))


def test_two_authorizations_are_refused() -> None:
    """Which of two keys is meant can't be told."""
    header = (b"authorization", b"Bearer key")
    with pytest.raises(InvalidRequestError, match="More than one"):
        read_head(scope(header, header))


def test_the_key_is_taken_out_of_the_body(key: str) -> None:
    """What remains is the item."""
    body = {"apiKey": key, "value": "x"}
    assert take_api_key(JSON_HEAD, body) == key
    assert body == {"value": "x"}


def test_the_key_may_come_as_bearer(key: str) -> None:
    """The header alone is enough."""
    assert take_api_key(Head(b"", b"", None, key), {}) == key


def test_the_same_key_in_both_places_is_taken(key: str) -> None:
    """Saying it twice is no contradiction."""
    assert take_api_key(Head(b"", b"", None, key), {"apiKey": key}) == key


def test_two_different_keys_are_refused(key: str) -> None:
    """Which of them is meant can't be told."""
    with pytest.raises(InvalidRequestError, match="differ"):
        take_api_key(Head(b"", b"", None, key), {"apiKey": key[::-1]})


def test_a_key_is_required() -> None:
    """Without one the answer says where to put it."""
    with pytest.raises(InvalidRequestError, match="apiKey is required"):
        take_api_key(JSON_HEAD, {})


@pytest.mark.parametrize("value", [None, 7, True, ["caas_"], {}])
def test_a_key_that_is_no_string_is_refused(value: object) -> None:
    """A wrong type is an error of form."""
    with pytest.raises(InvalidRequestError, match="must be a string"):
        take_api_key(JSON_HEAD, {"apiKey": value})


@pytest.mark.parametrize("text", ["", "caas_", "x" * 10_000, "caas_é", "\ud800", "caas_\x00"])
def test_a_key_of_a_wrong_form_is_unauthorized(text: str) -> None:
    """No worker need be asked about what can't be a key."""
    with pytest.raises(UnauthorizedError):
        take_api_key(JSON_HEAD, {"apiKey": text})
