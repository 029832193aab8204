"""One HTTP request to a gateway on this machine, cancellable and without a proxy."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

MAX_ANSWER_BYTES: Final = 1024 * 1024
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] (\d{3})")
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A status and the JSON object that came with it, empty when there was none."""

    status: int
    body: dict[str, Any] = field(repr=False)

    @property
    def is_ok(self) -> bool:
        """Whether the request succeeded."""
        return self.status == HTTPStatus.OK


def reachable(host: str) -> str:
    """The address under which this machine reaches what listens on `host`."""
    return _WILDCARDS.get(host, host)


async def request(
    host: str, port: int, path: str, body: dict[str, Any] | None, timeout_s: float
) -> HttpAnswer | None:
    """GET `path`, or POST `body` to it; None when no HTTP answer came in time."""
    try:
        async with asyncio.timeout(timeout_s):
            raw = await _exchange(host, port, _message(host, port, path, body))
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return None
    head, _, payload = raw.partition(b"\r\n\r\n")
    status = _STATUS_LINE.match(head)
    return HttpAnswer(int(status[1]), _object(payload)) if status else None


def _message(host: str, port: int, path: str, body: dict[str, Any] | None) -> bytes:
    payload = b"" if body is None else json.dumps(body).encode()
    name = f"[{host}]" if ":" in host else host
    # HTTP/1.0: the answer ends where the connection does, never in chunks.
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.0", f"Host: {name}:{port}"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
    return "\r\n".join([*lines, "", ""]).encode() + payload


async def _exchange(host: str, port: int, message: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(message)
        await writer.drain()
        chunks = bytearray()
        while len(chunks) <= MAX_ANSWER_BYTES and (chunk := await reader.read(65_536)):
            chunks += chunk
        return bytes(chunks)
    finally:
        writer.close()


def _object(payload: bytes) -> dict[str, Any]:
    try:
        value = json.loads(payload)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
