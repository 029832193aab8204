"""The application, for `caas gateway` or any ASGI server.

    uvicorn --no-access-log --factory gateway.app:create_app

uvicorn's own access log would write paths and queries that came in: leave it off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from caas_tasks.settings import load_settings
from gateway import problems
from gateway.access_log import AccessLog
from gateway.docs_page import DOCS_HEADERS, docs_html
from gateway.health import Readiness, alive
from gateway.openapi import openapi_json
from gateway.responses import HTML, JSON, PROBLEM_JSON, FixedAnswer
from gateway.routes import ClientSlot, ItemsClient, operation_routes
from gateway.settings import GatewaySettings
from producer_client import AsyncClient

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from gateway.metrics import GatewayMetrics


def create_app(
    settings: GatewaySettings | None = None, client: ItemsClient | None = None
) -> Starlette:
    """The gateway as an ASGI application.

    Args:
        settings: read from the environment when left out and no client is given.
        client: used and left open; without it one is opened at start and closed at the end.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """
    if client is None and settings is None:
        settings = load_settings(GatewaySettings)
    slot = ClientSlot(client)
    metrics = _metrics(settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        if settings is None or client is not None:
            yield
            return
        opened = _open_client(settings)
        slot.client = opened
        if metrics is not None:
            metrics.start()
        try:
            yield
        finally:
            if metrics is not None:
                metrics.stop()
            slot.client = None
            await opened.close()

    app = Starlette(
        routes=_routes(slot),
        middleware=[Middleware(AccessLog, observe=None if metrics is None else metrics.observe)],
        exception_handlers={HTTPException: _route_problem},
        lifespan=lifespan,
    )
    # A redirect would repeat the path and query, and send an API key twice.
    app.router.redirect_slashes = False
    return app


def _metrics(settings: GatewaySettings | None) -> GatewayMetrics | None:
    if settings is None or not settings.metrics_port:
        return None
    from gateway.metrics import GatewayMetrics

    return GatewayMetrics(settings)


def _open_client(settings: GatewaySettings) -> AsyncClient:
    return AsyncClient(
        broker_url=settings.broker_url.get_secret_value(),
        api_key=None,
        server_key=settings.server_key,
        timeout_s=settings.timeout_s,
        password_timeout_s=settings.password_timeout_s,
        tracer=_tracer() if settings.tracing else None,
    )


def _tracer() -> Tracer:
    from caas_tasks.trace_export import open_provider

    return open_provider("caas-gateway", 1.0).get_tracer("caas")


def _routes(slot: ClientSlot) -> list[Route]:
    return [
        *operation_routes(slot),
        Route("/readyz", Readiness(slot), methods=["GET"]),
        Route("/healthz", FixedAnswer(JSON, alive), methods=["GET"]),
        Route("/openapi.json", FixedAnswer(JSON, openapi_json), methods=["GET"]),
        Route("/docs", FixedAnswer(HTML, docs_html, DOCS_HEADERS), methods=["GET"]),
    ]


def _route_problem(_request: Request, error: Exception) -> Response:
    """The problem for a path or method that no route takes: all that Starlette itself refuses."""
    allow = (getattr(error, "headers", None) or {}).get("Allow")
    problem = problems.not_found()
    if allow is not None:
        problem = problems.method_not_allowed(", ".join(sorted(allow.split(", "))))
    response = Response(problem.body(), problem.status, media_type=PROBLEM_JSON.decode())
    response.raw_headers.extend(problem.headers)
    return response
