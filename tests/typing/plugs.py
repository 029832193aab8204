"""The plugs as their users' type checkers see them. Checked by mypy, never run."""

from __future__ import annotations

from typing import assert_type
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from producer_client import AsyncClient, Client
from producer_client.integrations.fastapi import (
    CaasClient,
    add_problem_handlers,
    caas_lifespan,
    lifespan_with,
)
from producer_client.integrations.shared_client import get_client, set_client, use_client
from producer_client.integrations.sqlalchemy import BYTES, JSON, Sealed


class Base(DeclarativeBase):
    """A declarative base."""


class Customer(Base):
    """Sealed attributes have the type of their plaintext."""

    __tablename__ = "customers"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    address = Sealed[str](user="id")
    note = Sealed[str | None](user="id", nullable=True)
    key = Sealed[bytes](user="id", holds=BYTES)
    tags = Sealed[list[str]](user="id", holds=JSON, context="customers.labels")


def attributes(customer: Customer) -> None:
    """Read, written, and named in a query."""
    assert_type(customer.address, str)
    assert_type(customer.note, str | None)
    assert_type(customer.key, bytes)
    assert_type(customer.tags, list[str])
    customer.address = "text"
    customer.address = b"bytes"  # type: ignore[assignment]
    select(Customer).where(Customer.address.is_(None))


def clients() -> None:
    """One client a process."""
    assert_type(get_client(), Client)
    set_client(None)
    with use_client(get_client()) as client:
        assert_type(client, Client)


def application() -> None:
    """The dependency is the asyncio client."""
    app = FastAPI(lifespan=caas_lifespan)
    FastAPI(lifespan=lifespan_with(AsyncClient.from_env))
    add_problem_handlers(app)

    @app.get("/")
    async def ask(caas: CaasClient) -> str:
        """What an endpoint gets."""
        assert_type(caas, AsyncClient)
        return (await caas.encrypt("", "")).encrypted_data
