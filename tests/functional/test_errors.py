"""Every typed error that a caller can meet, the same from both clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from caas_tasks.errors import (
    ERRORS_BY_CODE,
    ConfigurationError,
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    PayloadTooLargeError,
    RateLimitedError,
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
    UnauthorizedError,
    UndecryptableError,
    UnreadableMessageError,
)
from caas_tasks.messages import error_body
from caas_tasks.names import SCOPES
from producer_client import testing
from producer_client.testing import InMemoryService
from worker import batch

USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
CANARY = "canary-c0ffee"
Call = Callable[..., Any]

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "encrypt": (USER_UUID, CANARY),
    "verify": (USER_UUID, CANARY, "0" * 96),
    "candidates": (USER_UUID, CANARY),
    "blind_index": ("email", CANARY),
    "wrap": (USER_UUID, CANARY),
}

BAD_ARGUMENTS: list[tuple[str, tuple[Any, ...], type[ServiceError]]] = [
    ("encrypt", (f"{{{USER_UUID}}}", CANARY), InvalidRequestError),
    ("encrypt", (USER_UUID[:-1], CANARY), InvalidRequestError),
    ("encrypt", (USER_UUID.replace("-", ""), CANARY), InvalidRequestError),
    ("encrypt", (f"urn:uuid:{USER_UUID}", CANARY), InvalidRequestError),
    ("encrypt", (USER_UUID + "\n", CANARY), InvalidRequestError),
    ("encrypt", (7, CANARY), InvalidRequestError),
    ("encrypt", (USER_UUID, CANARY.encode()), InvalidRequestError),
    ("encrypt", (USER_UUID, CANARY + "\ud800"), InvalidRequestError),
    ("encrypt", (USER_UUID, CANARY * 6_000), PayloadTooLargeError),
    ("encrypt", (USER_UUID, CANARY + "ä" * 40_000), PayloadTooLargeError),
    ("verify", (USER_UUID, CANARY, ""), InvalidRequestError),
    ("verify", (USER_UUID, CANARY, CANARY), InvalidRequestError),
    ("verify", (USER_UUID, CANARY, "0" * 96, 0), InvalidRequestError),
    ("verify", (USER_UUID, CANARY, "0" * 96, CANARY), InvalidRequestError),
    ("verify", (USER_UUID, CANARY, "0" * 96, True), InvalidRequestError),
    ("verify", (USER_UUID, CANARY, "0" * 96, 99), ServiceUnavailableError),
    ("blind_index", ("", CANARY), InvalidRequestError),
    ("blind_index", (CANARY * 20, "v"), InvalidRequestError),
    ("wrap", (USER_UUID, ""), InvalidRequestError),
    ("wrap", (USER_UUID, CANARY + "ä"), InvalidRequestError),
]


@pytest.mark.parametrize(("method", "args", "error"), BAD_ARGUMENTS)
def test_bad_argument_has_its_error_and_is_not_shown(
    call: Call, method: str, args: tuple[Any, ...], error: type[ServiceError]
) -> None:
    """A wrong argument is refused with its type, and no value comes back in the error."""
    with pytest.raises(error) as caught:
        call(method, *args)
    assert type(caught.value) is error
    assert CANARY not in f"{caught.value!r} {caught.value.__context__!r}"


@pytest.mark.parametrize("method", ARGUMENTS)
def test_every_operation_needs_its_scope(
    surface: Any, service: InMemoryService, method: str
) -> None:
    """A key with every other scope is forbidden this operation, and one with it alone may."""
    args = ARGUMENTS[method]
    others = [scope for scope in SCOPES if scope != method]
    lacking = surface.client(api_key=service.add_api_key(scopes=others))
    with pytest.raises(ForbiddenError):
        surface.run(getattr(lacking, method)(*args))
    having = surface.client(api_key=service.add_api_key(scopes=[method]))
    surface.run(getattr(having, method)(*args))


@pytest.mark.parametrize("method", ARGUMENTS)
def test_every_call_has_a_timeout_of_its_own(
    call: Call, service: InMemoryService, method: str
) -> None:
    """`timeout_s` is kept by every operation, when nobody answers."""
    with service.silence(), pytest.raises(RequestTimeoutError):
        call(method, *ARGUMENTS[method], timeout_s=0.02)


@pytest.mark.parametrize("method", ARGUMENTS)
def test_every_call_tells_an_outage(
    surface: Any, client: Any, call: Call, service: InMemoryService, method: str
) -> None:
    """An unreachable broker is told from a silent one."""
    with service.outage():
        surface.notice_outage(client)
        with pytest.raises(ServiceUnavailableError):
            call(method, *ARGUMENTS[method], timeout_s=0.02)


def test_service_recovers_from_an_outage(
    surface: Any, client: Any, call: Call, service: InMemoryService
) -> None:
    """After an outage the same client goes on."""
    with service.outage():
        surface.notice_outage(client)
    assert call("encrypt", USER_UUID, "a").key_version == 1


@pytest.mark.parametrize("timeout_s", [0, -1, 3_601, float("nan"), "1"])
def test_odd_timeout_is_refused(call: Call, timeout_s: Any) -> None:
    """A timeout is a number of seconds."""
    with pytest.raises(ConfigurationError):
        call("encrypt", USER_UUID, "a", timeout_s=timeout_s)


ODD_KEYS = ["caas_", "caas_x_y", "x" * 67, "x" * 256, "\0", "ключ", " "]


@pytest.mark.parametrize("api_key", ODD_KEYS)
def test_odd_api_key_is_unauthorized(surface: Any, api_key: str) -> None:
    """Every malformed key has the one answer."""
    with pytest.raises(UnauthorizedError):
        surface.run(surface.client(api_key=api_key).encrypt(USER_UUID, "a"))


def test_mistyped_api_key_is_unauthorized(surface: Any, service: InMemoryService) -> None:
    """A key with one character changed, or cut off, is none."""
    text = service.api_key
    other = text[:30] + ("a" if text[30] != "a" else "b") + text[31:]
    for api_key in (other, text[:-1], text + "a", text.upper()):
        with pytest.raises(UnauthorizedError):
            surface.run(surface.client(api_key=api_key).encrypt(USER_UUID, "a"))


def test_api_key_of_another_service_is_unauthorized(surface: Any) -> None:
    """A well-formed key that this service never made is none."""
    stranger = InMemoryService().api_key
    with pytest.raises(UnauthorizedError):
        surface.run(surface.client(api_key=stranger).encrypt(USER_UUID, "a"))


def test_revoked_api_key_is_unauthorized_at_once(surface: Any, service: InMemoryService) -> None:
    """A key works until it is revoked, and the tenant's other keys go on."""
    api_key = service.add_api_key()
    client, other = surface.client(api_key=api_key), surface.client()
    stored = surface.run(client.encrypt(USER_UUID, "a"))
    service.revoke_api_key(api_key)
    with pytest.raises(UnauthorizedError):
        surface.run(client.encrypt(USER_UUID, "a"))
    assert surface.run(other.encrypt(USER_UUID, "a")) == stored


def test_expired_api_key_is_unauthorized(
    surface: Any, service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key's expiry is kept, to the second."""
    now_s = testing._now_s()
    client = surface.client(api_key=service.add_api_key(expires_at=now_s + 2))
    monkeypatch.setattr(testing, "_now_s", lambda: now_s + 1)
    surface.run(client.encrypt(USER_UUID, "a"))
    monkeypatch.setattr(testing, "_now_s", lambda: now_s + 2)
    with pytest.raises(UnauthorizedError):
        surface.run(client.encrypt(USER_UUID, "a"))


def test_service_with_another_key_pair_can_not_read(surface: Any, service: InMemoryService) -> None:
    """A client with another service's public key gets the one answer, with no detail."""
    service.server_key = InMemoryService().server_key
    with pytest.raises(UnreadableMessageError):
        surface.run(surface.client().encrypt(USER_UUID, "a"))


def test_crash_inside_an_operation_is_internal_and_shows_nothing(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's own fault becomes an id to look up."""

    def crash(*_: object) -> None:
        raise ValueError(CANARY)

    monkeypatch.setattr(batch, "execute", crash)
    with pytest.raises(InternalError, match=r"^Internal error [0-9a-f]{16}\.$"):
        call("encrypt", USER_UUID, "a")


@pytest.mark.parametrize(
    "error",
    [
        RateLimitedError(retry_after_s=12.5),
        UndecryptableError(),
        *(error_type() for error_type in ERRORS_BY_CODE.values()),
    ],
    ids=lambda error: f"{error.code}-{error.retry_after_s}",
)
def test_every_error_of_a_worker_reaches_the_caller(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: ServiceError
) -> None:
    """Each code is raised as its class, with its message and seconds."""
    monkeypatch.setattr(batch, "execute", lambda *_: error_body(error))
    with pytest.raises(type(error)) as caught:
        call("encrypt", USER_UUID, "a")
    assert caught.value == error


def test_use_after_close_is_unavailable(surface: Any) -> None:
    """A closed client says so, and may be closed again."""
    client = surface.client()
    surface.run(client.encrypt(USER_UUID, "a"))
    for _ in range(2):
        surface.run(client.close())
        with pytest.raises(ServiceUnavailableError, match="closed"):
            surface.run(client.encrypt(USER_UUID, "a"))
