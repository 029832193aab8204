"""The gateway under its server, over real sockets: what only shows there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx
import pytest
import uvicorn

from gateway.app import create_app
from producer_client.testing import InMemoryService

pytestmark = pytest.mark.anyio

MARKER = "marker-5d1f09"
ITEM = {"userUUID": "4dbcbcfe-4800-40a8-badf-c26b73af230c", "sensitiveData": MARKER}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Running:
    """A gateway that listens."""

    port: int
    service: InMemoryService

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def exchange(self, raw: bytes) -> bytes:
        """Send bytes, then read until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(raw)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


class QuietServer(uvicorn.Server):
    """Leaves the signal handlers of the test run alone, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@pytest.fixture(params=["httptools", "h11"])
async def running(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    service = InMemoryService()
    listener = socket.create_server(("127.0.0.1", 0))
    async with service.async_client() as client:
        config = uvicorn.Config(
            create_app(client=client),
            http=request.param,
            log_config=None,
            access_log=False,
            ws="none",
        )
        server = QuietServer(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.listens.wait()
        try:
            yield Running(listener.getsockname()[1], service)
        finally:
            server.should_exit = True
            await serving


async def test_a_request_is_answered(running: Running) -> None:
    """Over a socket as in memory."""
    async with httpx.AsyncClient(base_url=running.url) as http:
        response = await http.post("/encrypt", json={"apiKey": running.service.api_key, **ITEM})
    assert response.status_code == 200
    assert response.json().keys() == {"encrypted_data"}


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_ten_megabytes_are_refused(running: Running, is_chunked: bool) -> None:
    """The caller gets 413, with and without Content-Length, and the gateway goes on."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield b"x" * 65_536

    headers = {"Content-Type": "application/json"}
    content = chunks() if is_chunked else b"x" * 10_485_760
    async with httpx.AsyncClient(base_url=running.url, timeout=30) as http:
        response = await http.post("/encrypt", content=content, headers=headers)
        assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
        assert (await http.get("/healthz")).status_code == 200


async def test_a_body_is_not_asked_for_when_it_is_too_large(running: Running) -> None:
    """With `Expect: 100-continue` the refusal comes before the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(
        b"POST /encrypt HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        b"Content-Length: 10000000\r\nExpect: 100-continue\r\n\r\n"
    )
    assert (await reader.readline()).split()[1] == b"413"
    writer.close()
    await writer.wait_closed()


async def test_head_has_no_body(running: Running) -> None:
    """A HEAD of an operation is 405 with `Allow`, a HEAD of a page is 200."""
    async with httpx.AsyncClient(base_url=running.url) as http:
        refused = await http.head("/encrypt")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert (await http.head("/docs")).status_code == 200


async def test_what_is_no_http_is_refused_without_a_trace(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Rubbish gets an answer from the server itself, and neither answer nor log shows it."""
    with caplog.at_level(logging.DEBUG):
        answer = await running.exchange(f"{MARKER} {MARKER}\r\n\r\n".encode())
    assert b" 400 " in answer
    assert MARKER not in answer.decode() + caplog.text


async def test_a_caller_that_hangs_up_harms_nobody(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a body and a closed connection: nothing in the log but the line, and the next works."""
    body = json.dumps({"apiKey": running.service.api_key, **ITEM}).encode()
    head = (
        b"POST /encrypt HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    with caplog.at_level(logging.DEBUG):
        await running.exchange(head + body[:-9])
        async with httpx.AsyncClient(base_url=running.url) as http:
            assert (
                await http.post(
                    "/encrypt", content=body, headers={"Content-Type": "application/json"}
                )
            ).status_code == 200
    assert MARKER not in caplog.text
    assert "internal error" not in caplog.text


async def test_many_requests_at_once_each_get_their_own_answer(running: Running) -> None:
    """A hundred callers, a hundred values."""
    limits = httpx.Limits(max_connections=20)
    async with httpx.AsyncClient(base_url=running.url, limits=limits, timeout=30) as http:
        bodies = [
            {"apiKey": running.service.api_key, **ITEM, "sensitiveData": f"data {number}"}
            for number in range(100)
        ]
        together = await asyncio.gather(*(http.post("/encrypt", json=body) for body in bodies))
        alone = await http.post("/encrypt", json=bodies[42])
    values = [response.json()["encrypted_data"] for response in together]
    assert len(set(values)) == 100
    assert values[42] == alone.json()["encrypted_data"]
