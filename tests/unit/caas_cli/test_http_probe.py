"""One HTTP request: its answer, or None for whatever is none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from caas_cli import http_probe
from caas_cli.http_probe import HttpAnswer

TIMEOUT_S = 30.0


def exchange(
    reply: bytes, body: dict[str, Any] | None = None, timeout_s: float = TIMEOUT_S
) -> tuple[HttpAnswer | None, bytes]:
    """Ask a server that sends these bytes and hangs up; the answer and what the server got."""
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        received.extend(head)
        if body is not None:
            length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            received.extend(await reader.readexactly(length))
        writer.write(reply)
        if not reply:
            await reader.read()
        writer.close()
        await writer.wait_closed()
        served.set()

    served = asyncio.Event()

    async def run() -> HttpAnswer | None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            answer = await http_probe.request("127.0.0.1", port, "/path", body, timeout_s)
            await served.wait()
            return answer

    return asyncio.run(run()), bytes(received)


def test_status_and_body_are_read() -> None:
    """The answer has the status and the JSON object."""
    answer, _ = exchange(b'HTTP/1.1 200 OK\r\nX: y\r\n\r\n{"a": 1}')
    assert answer == HttpAnswer(200, {"a": 1})


def test_body_is_sent_as_json() -> None:
    """A body makes the request a POST."""
    _, received = exchange(b"HTTP/1.1 200 OK\r\n\r\n", {"a": 1})
    assert (received[:10], received[-8:]) == (b"POST /path", b'{"a": 1}')


@pytest.mark.parametrize("body", [b"", b"text", b"[1]", b"\xff"])
def test_body_that_is_no_object_is_empty(body: bytes) -> None:
    """Whatever else came counts as no object."""
    answer, _ = exchange(b"HTTP/1.1 503 No\r\n\r\n" + body)
    assert answer == HttpAnswer(503, {})


@pytest.mark.parametrize("reply", [b"\r\n", b"nonsense", b"HTTP/1.1 abc"])
def test_answer_that_is_no_http_is_none(reply: bytes) -> None:
    """Another kind of server on the port is no answer."""
    assert exchange(reply)[0] is None


def test_silence_is_none() -> None:
    """A server that never answers is given up."""
    assert exchange(b"", timeout_s=0.05)[0] is None


def test_nobody_listening_is_none() -> None:
    """A refused connection is no answer."""
    assert asyncio.run(http_probe.request("127.0.0.1", 1, "/", None, TIMEOUT_S)) is None


def test_answers_repr_shows_no_body() -> None:
    """A body may hold a value."""
    assert "secret" not in repr(HttpAnswer(200, {"a": "secret"}))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - nothing listens there
        ("::", "::1"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_wildcard_is_reached_by_loopback(host: str, address: str) -> None:
    """What listens everywhere is asked on this machine."""
    assert http_probe.reachable(host) == address
