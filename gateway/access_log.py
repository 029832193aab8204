"""The outermost layer of every request: its log line, its headers, its last resort.

A line holds the method, the route as this project names it, the status, the time taken and a
request id: no path, query, header or body that came in. An exception that nobody expected ends
here, so that no server writes its message, which may hold input, to a log.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems

_REQUEST_ID_BYTES: Final = 8
_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"}
)
_CLIENT_GONE: Final = 499
"""Logged for a caller that hung up before there was an answer; nginx's number for it."""

_SECURITY_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
logger = logging.getLogger(__name__)


Observe = Callable[[str, int, float], None]
"""Is told of each request: its route, status and seconds."""


class AccessLog:
    """ASGI middleware; wraps an application.

    Args:
        observe: told of each request at its end.
    """

    def __init__(self, app: ASGIApp, observe: Observe | None = None) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, log it, and let no exception out."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        status = 0
        # Always drawn here: one that came in could carry what must not be logged.
        request_id = secrets.token_hex(_REQUEST_ID_BYTES)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = (*_SECURITY_HEADERS, (b"x-request-id", request_id.encode()))
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - the last resort of every request
            problem = problems.internal(error)
            if not status:
                await problem.send(send_with_headers)
        finally:
            took_s = time.perf_counter() - started_s
            route, status = _route(scope), status or _CLIENT_GONE
            method = scope["method"] if scope["method"] in _METHODS else "-"
            logger.info(
                "%s %s %d %.1f ms %s",
                *(method, route, status, took_s * 1_000, request_id),
                extra={"request_id": request_id, "method": method, "route": route,
                       "status": status, "duration_ms": round(took_s * 1_000, 3)},
            )  # fmt: skip
            if self._observe is not None:
                self._observe(route, status, took_s)


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    return "-" if route is None else str(route.path)
