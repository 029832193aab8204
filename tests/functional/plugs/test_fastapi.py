"""A small FastAPI application on the plug, with SQLAlchemy beside it, through its test client."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy import StaticPool, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from producer_client import (
    AsyncClient,
    CaasError,
    ConfigurationError,
    InvalidRequestError,
    RateLimitedError,
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
    UnauthorizedError,
)
from producer_client.integrations.fastapi import (
    CaasClient,
    add_problem_handlers,
    caas_lifespan,
    lifespan_with,
)
from producer_client.integrations.sqlalchemy import Sealed
from producer_client.testing import InMemoryService

with warnings.catch_warnings():
    # It works with httpx 0.28, which the project has, and asks for its successor.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

ANN = {"email": "ann@example.org", "password": "correct horse battery", "address": "1 Mill Lane"}


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "api_customers"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    email_index: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]
    address = Sealed[str](user="id")


class Registration(BaseModel):
    email: str
    password: str
    address: str


class Login(BaseModel):
    email: str
    password: str


def make_app(service: InMemoryService) -> FastAPI:
    """An API that registers customers and gives each their address for their password."""
    app = FastAPI(lifespan=lifespan_with(lambda: service.async_client(timeout_s=60)))
    add_problem_handlers(app)
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    Base.metadata.create_all(engine)

    @app.post("/customers", status_code=201)
    async def register(form: Registration, caas: CaasClient) -> dict[str, str]:
        user = uuid4()
        customer = Customer(
            id=user,
            email_index=(await caas.blind_index("email", form.email))[0].index,
            password=await caas.hash_password(user, form.password),
            address=form.address,
        )
        with Session(engine) as session:
            session.add(customer)
            session.commit()
        return {"id": str(user)}

    @app.post("/address")
    async def address(form: Login, caas: CaasClient) -> dict[str, str]:
        indexes = [found.index for found in await caas.blind_index("email", form.email)]
        with Session(engine) as session:
            query = select(Customer).where(Customer.email_index.in_(indexes))
            found = session.scalars(query).one_or_none()
            user, stored = (uuid4(), None) if found is None else (found.id, found.password)
            if not await caas.verify_password(user, form.password, stored) or found is None:
                raise HTTPException(403)
            return {"address": found.address}

    return app


@pytest.fixture
def api(shared_service: InMemoryService, caas: Any) -> Iterator[TestClient]:
    with TestClient(make_app(shared_service)) as client:
        client.post("/customers", json=ANN)
        yield client


def failing(api: TestClient, error: ServiceError) -> Any:
    """What the application answers to a request in which the service fails like this."""

    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    client = api.app_state["caas_client"]
    client.blind_index = fail
    return api.post("/address", json={"email": "a", "password": "b"})


def test_the_right_password_opens_the_address(api: TestClient) -> None:
    """Registered through one request, read through another."""
    answer = api.post("/address", json={"email": ANN["email"], "password": ANN["password"]})
    assert answer.json() == {"address": ANN["address"]}


@pytest.mark.parametrize("email", [ANN["email"], "nobody@example.org"])
def test_a_wrong_password_and_an_absent_customer_get_one_answer(
    api: TestClient, email: str
) -> None:
    """The application tells nobody who exists."""
    assert api.post("/address", json={"email": email, "password": "wrong"}).status_code == 403


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (RateLimitedError(retry_after_s=41.2), 429, "rate_limited", "42"),
        (ServiceUnavailableError(), 503, "unavailable", "5"),
        (RequestTimeoutError(), 504, "timeout", "5"),
        (InvalidRequestError(), 400, "invalid_request", None),
        (UnauthorizedError(), 500, "internal", None),
    ],
)
def test_a_service_error_becomes_a_problem(
    api: TestClient, error: ServiceError, status: int, code: str, retry_after: str | None
) -> None:
    """Callers learn what they can do something about; the rest is a plain 500."""
    answer = failing(api, error)
    found = (
        answer.status_code,
        answer.json()["code"],
        answer.headers.get("Retry-After"),
        answer.headers["Content-Type"],
    )
    assert found == (status, code, retry_after, "application/problem+json")


def test_a_refused_request_repeats_no_input(api: TestClient) -> None:
    """FastAPI's own answer would hold the password that came in."""
    answer = api.post("/customers", json={"password": "a secret", "email": 7})
    assert (answer.status_code, "a secret" in answer.text) == (400, False)


def test_an_application_without_the_lifespan_says_so() -> None:
    """The mistake is named at the first request."""
    app = FastAPI()

    @app.get("/")
    async def ask(caas: CaasClient) -> None:
        """Never reached."""

    with TestClient(app) as client, pytest.raises(RuntimeError, match="lifespan"):
        client.get("/")


def test_an_application_with_a_lifespan_of_its_own_adds_the_client(
    shared_service: InMemoryService,
) -> None:
    """Both states are there."""
    caas = lifespan_with(shared_service.async_client)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with caas(app) as state:
            yield {**state, "own": 1}

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def ask(request: Request, client: CaasClient) -> list[Any]:
        return [request.state.own, await client.blind_index("field", "value") != ()]

    with TestClient(app) as browser:
        assert browser.get("/").json() == [1, True]


def test_a_missing_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that can't reach the service for want of a setting does not start."""
    monkeypatch.delenv("CAAS_API_KEY", raising=False)
    monkeypatch.delenv("CAAS_SERVER_KEY", raising=False)
    app = FastAPI(lifespan=caas_lifespan)
    with pytest.raises(ConfigurationError), TestClient(app):
        pass


def test_the_client_is_closed_with_the_application(shared_service: InMemoryService) -> None:
    """Nothing is left open."""
    made: list[AsyncClient] = []

    def make() -> AsyncClient:
        made.append(shared_service.async_client())
        return made[0]

    with TestClient(FastAPI(lifespan=lifespan_with(make))) as client:
        client.get("/")
    with pytest.raises(CaasError):
        asyncio.run(made[0].encrypt(uuid4(), "data"))
