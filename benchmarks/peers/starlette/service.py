"""A bare Starlette service: one route, no middleware."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks import work


async def digest(request: Request) -> JSONResponse:
    body = await request.json()
    return JSONResponse({"encrypted_data": work.digest(body["userUUID"], body["sensitiveData"])})


app = Starlette(routes=[Route("/digest", digest, methods=["POST"])])
