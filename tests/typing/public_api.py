"""The public surface as its users' type checkers see it. Checked by mypy, never run."""

from __future__ import annotations

from typing import assert_type
from uuid import UUID

from producer_client import (
    AsyncClient,
    AsyncJob,
    BlindIndex,
    CaasError,
    Client,
    ConfigurationError,
    Encrypted,
    ForbiddenError,
    Inspection,
    InternalError,
    InvalidRequestError,
    Job,
    JobProgress,
    KeyUnavailableError,
    PasswordVerification,
    PayloadTooLargeError,
    RateLimitedError,
    RequestTimeoutError,
    Rewrapped,
    ServiceError,
    ServiceUnavailableError,
    UnauthorizedError,
    UndecryptableError,
    UnreadableMessageError,
    Verification,
    Wrapped,
    inspect,
)
from producer_client.testing import InMemoryService

USER = UUID("4dbcbcfe-4800-40a8-badf-c26b73af230c")
TEXT = "4dbcbcfe-4800-40a8-badf-c26b73af230c"


def show(done: int) -> None:
    """A progress callback."""


def construct() -> None:
    """Both clients are made in the same ways."""
    assert_type(Client.from_env(), Client)
    assert_type(AsyncClient.from_env(), AsyncClient)
    Client(broker_url="redis://h", api_key="k", server_key="s")
    Client(broker_url="redis://h", api_key=None, server_key="s", timeout_s=1)
    AsyncClient(broker_url="redis://h", api_key="k", server_key="s", timeout_s=0.5)
    Client(broker_url="redis://h", api_key="k", server_key="s", password_timeout_s=60)
    Client("redis://h", "k", "s")  # type: ignore[call-arg]
    Client(broker_url="redis://h", server_key="s")  # type: ignore[call-arg]


def sync_calls(client: Client) -> None:
    """Every method of the client for threads."""
    with client as entered:
        assert_type(entered, Client)
    stored = client.encrypt(USER, "data", timeout_s=1)
    assert_type(stored, Encrypted)
    assert_type(stored.encrypted_data, str)
    assert_type(stored.key_version, int)
    checked = client.verify(TEXT, "data", stored.encrypted_data, stored.key_version)
    assert_type(checked, Verification)
    assert_type(checked.valid, bool)
    assert_type(checked.needs_update, bool)
    assert_type(bool(checked), bool)
    assert_type(client.verify(TEXT, "data", "ab", key_version=None, timeout_s=2.5), Verification)
    assert_type(client.candidates(USER, "data"), tuple[Encrypted, ...])
    indexes = client.blind_index("email", "a@example.org")
    assert_type(indexes, tuple[BlindIndex, ...])
    assert_type(indexes[0].index, str)
    wrapped = client.wrap(USER, "5f4dcc3b")
    assert_type(wrapped, Wrapped)
    assert_type(wrapped.wrapped, str)
    assert_type(client.ping(timeout_s=1), None)
    assert_type(client.close(), None)
    client.encrypt(7, "data")  # type: ignore[arg-type]
    client.encrypt(USER, b"data")  # type: ignore[arg-type]
    client.encrypt(USER, "data", 1)  # type: ignore[call-arg]


def passwords_and_seals(client: Client) -> None:
    """What protects passwords, and what brings data back."""
    assert_type(client.hash_password(USER, "password", timeout_s=1), str)
    checked = client.verify_password(TEXT, "password", None)
    assert_type(checked, PasswordVerification)
    assert_type(bool(checked), bool)
    assert_type(checked.new_hash, str | None)
    token = client.seal(USER, b"plaintext")
    assert_type(token, str)
    assert_type(client.open(USER, token, b"context"), bytes)
    assert_type(client.rewrap(USER, token), Rewrapped)
    assert_type(client.rewrap(USER, token).changed, bool)
    assert_type(client.hash_password_many([(USER, "p")], show), list[str | ServiceError])
    assert_type(client.wrap_many([(USER, "ab")]), list[Wrapped | ServiceError])
    assert_type(client.seal_many([(TEXT, b"a", b"")]), list[str | ServiceError])
    assert_type(client.open_many([(TEXT, token, b"")]), list[bytes | ServiceError])
    assert_type(client.rewrap_many([(TEXT, token, b"")]), list[Rewrapped | ServiceError])
    assert_type(inspect(token), Inspection)
    assert_type(inspect(token).profile, str | None)
    client.hash_password(USER, b"password")  # type: ignore[arg-type]
    client.seal(USER, "plaintext")  # type: ignore[arg-type]
    client.open(USER, b"token")  # type: ignore[arg-type]
    client.verify_password(USER, "password")  # type: ignore[call-arg]


async def async_passwords_and_seals(client: AsyncClient) -> None:
    """The same, awaited."""
    assert_type(await client.hash_password(USER, "password"), str)
    assert_type(await client.verify_password(USER, "password", None), PasswordVerification)
    token = await client.seal(USER, b"plaintext", b"context")
    assert_type(await client.open(USER, token, b"context"), bytes)
    assert_type(await client.rewrap(USER, token), Rewrapped)
    assert_type(await client.open_many([(USER, token, b"")]), list[bytes | ServiceError])


def sync_many(client: Client) -> None:
    """Many pairs, waited for or collected later."""
    pairs: list[tuple[str | UUID, str]] = [(USER, "a"), (TEXT, "b")]
    results = client.encrypt_many(pairs, show, timeout_s=1)
    assert_type(results, list[Encrypted | ServiceError])
    client.encrypt_many((TEXT, data) for data in "ab")
    client.encrypt_many([TEXT])  # type: ignore[list-item]
    for result in results:
        if isinstance(result, ServiceError):
            assert_type(result.code, str)
            assert_type(result.http_status, int)
            assert_type(result.message, str)
            assert_type(result.retry_after_s, float | None)
        else:
            assert_type(result, Encrypted)
    job = client.submit_encrypt_many(pairs)
    assert_type(job, Job)
    assert_type(job.handle, str)
    assert_type(job.progress(), JobProgress)
    assert_type(job.progress().done, int)
    assert_type(job.collect(timeout_s=1), list[Encrypted | ServiceError])
    assert_type(job.cancel(), None)
    assert_type(client.collect(job.handle, timeout_s=1), list[Encrypted | ServiceError])


async def async_calls(client: AsyncClient) -> None:
    """Every method of the client for asyncio."""
    async with client as entered:
        assert_type(entered, AsyncClient)
    assert_type(await client.encrypt(USER, "data", timeout_s=1), Encrypted)
    assert_type(await client.verify(USER, "data", "ab", 1), Verification)
    assert_type(await client.candidates(USER, "data"), tuple[Encrypted, ...])
    assert_type(await client.blind_index("email", "v"), tuple[BlindIndex, ...])
    assert_type(await client.wrap(USER, "ab"), Wrapped)
    assert_type(await client.encrypt_many([(USER, "a")], show), list[Encrypted | ServiceError])
    job = await client.submit_encrypt_many([(TEXT, "a")])
    assert_type(job, AsyncJob)
    assert_type(await job.progress(), JobProgress)
    assert_type(await job.collect(), list[Encrypted | ServiceError])
    assert_type(await client.collect(job.handle), list[Encrypted | ServiceError])
    await job.cancel()
    await client.ping()
    await client.close()


def errors(error: CaasError) -> str:
    """Each error is caught by its class, and all by their root."""
    match error:
        case ConfigurationError():
            return "configuration"
        case RateLimitedError(retry_after_s=seconds):
            assert_type(seconds, float | None)
            return "later"
        case (
            ForbiddenError()
            | InternalError()
            | InvalidRequestError()
            | KeyUnavailableError()
            | PayloadTooLargeError()
            | RequestTimeoutError()
            | ServiceUnavailableError()
            | UnauthorizedError()
            | UndecryptableError()
            | UnreadableMessageError()
        ):
            assert_type(error.code, str)
            return error.message
        case _:
            return "other"


def in_memory() -> None:
    """The service for users' own tests."""
    service = InMemoryService(tenant="shop", profile="classic", salt_pool=["a"])
    assert_type(service.client(timeout_s=1), Client)
    assert_type(service.async_client(api_key=service.api_key), AsyncClient)
    InMemoryService(password_profile="rfc9106-low-memory")
    assert_type(service.add_api_key(scopes=["encrypt"], expires_at=1), str)
    assert_type(service.server_key, str)
    service.revoke_api_key(service.api_key)
    with service.outage(), service.silence():
        pass
