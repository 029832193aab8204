"""FastAPI: a client that lives as long as the application, and errors as problem details.

    app = FastAPI(lifespan=caas_lifespan)
    add_problem_handlers(app)

    @app.post("/customers")
    async def register(form: Form, caas: CaasClient) -> None:
        stored = await caas.hash_password(user_uuid, form.password)

Needs `caas[fastapi]`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from caas_tasks.errors import InvalidRequestError, ServiceError
from producer_client.async_client import AsyncClient
from producer_client.integrations.public_problem import PublicProblem, public_problem

PROBLEM_JSON: Final = "application/problem+json"
_STATE: Final = "caas_client"


def lifespan_with(
    make_client: Callable[[], AsyncClient],
) -> Callable[[FastAPI], AbstractAsyncContextManager[dict[str, Any]]]:
    """A lifespan that opens a client at the application's start and closes it at its end.

    Args:
        make_client: called within the running loop.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with make_client() as client:
            yield {_STATE: client}

    return lifespan


def caas_lifespan(app: FastAPI) -> AbstractAsyncContextManager[dict[str, Any]]:
    """The lifespan with a client from the environment.

    An application with a lifespan of its own enters this one in it and yields its state too.

    Raises:
        ConfigurationError: at the start, when a variable is missing or wrong.
    """
    return lifespan_with(AsyncClient.from_env)(app)


def caas_client(request: Request) -> AsyncClient:
    """The application's client, as a dependency.

    Raises:
        RuntimeError: the application has no such lifespan.
    """
    client = getattr(request.state, _STATE, None)
    if not isinstance(client, AsyncClient):
        raise RuntimeError("The application was made without lifespan=caas_lifespan.")
    return client


CaasClient = Annotated[AsyncClient, Depends(caas_client)]
"""The type of an endpoint's parameter that gets the application's client."""


def add_problem_handlers(app: FastAPI) -> None:
    """Answer service errors and refused requests with problem details that repeat no input.

    FastAPI's own answer to a refused request repeats what came in, a password among it.
    """
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)


def _on_service_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ServiceError):
        raise error
    return _response(public_problem(error))


def _on_validation_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    return _response(public_problem(InvalidRequestError()))


def _response(problem: PublicProblem) -> JSONResponse:
    return JSONResponse(problem.members(), problem.status, problem.headers(), PROBLEM_JSON)
