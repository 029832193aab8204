"""Answers as two ASGI messages, with nothing between: the hot path needs no response object."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from starlette.types import Receive, Scope, Send

JSON: Final = b"application/json"
PROBLEM_JSON: Final = b"application/problem+json"  # RFC 9457, section 3
HTML: Final = b"text/html; charset=utf-8"

RawHeaders = Iterable[tuple[bytes, bytes]]


async def send_body(
    send: Send, status: int, content_type: bytes, body: bytes, headers: RawHeaders = ()
) -> None:
    """Send a whole response.

    Args:
        headers: further ones, names in lower case.
    """
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


class FixedAnswer:
    """An endpoint whose answer never changes; made at the first request, to start quickly."""

    def __init__(
        self, content_type: bytes, make: Callable[[], bytes], headers: RawHeaders = ()
    ) -> None:
        self._content_type = content_type
        self._make = make
        self._headers = headers
        self._body: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self._body is None:
            self._body = self._make()
        await send_body(send, 200, self._content_type, self._body, self._headers)
