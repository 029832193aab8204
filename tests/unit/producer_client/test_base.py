"""What both clients share: construction, API keys, deadlines."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from caas_tasks.errors import (
    ConfigurationError,
    InternalError,
    InvalidRequestError,
    RateLimitedError,
    UnauthorizedError,
)
from producer_client.base import BaseClient
from producer_client.testing import InMemoryService

KEY = "caas_canary"


@pytest.fixture
def make(service: InMemoryService, transport: Any) -> Any:
    def make(**options: Any) -> BaseClient:
        arguments = {"api_key": KEY, "server_key": service.server_key, "transport": transport}
        return BaseClient(**{**arguments, **options})

    return make


@pytest.mark.parametrize("timeout_s", [0, -1, 3_600.1, float("nan"), float("inf"), "5", None])
def test_odd_timeout_is_refused(make: Any, timeout_s: object) -> None:
    """A timeout is a number of seconds up to an hour, so that no call hangs."""
    with pytest.raises(ConfigurationError, match="timeout_s"):
        make(timeout_s=timeout_s)


@pytest.mark.parametrize("timeout_s", [0, -1, 3_601, float("nan"), "5"])
def test_odd_timeout_of_a_call_is_refused(make: Any, timeout_s: Any) -> None:
    """A call's own timeout is held to the same."""
    with pytest.raises(ConfigurationError, match="timeout_s"):
        make()._deadline(timeout_s)


@pytest.mark.parametrize("timeout_s", [0.001, 1, 3_600])
def test_timeouts_within_the_limits_are_taken(make: Any, timeout_s: float) -> None:
    """Whole seconds and parts of them will do."""
    assert repr(make(timeout_s=timeout_s)) == f"BaseClient(timeout_s={float(timeout_s)})"


@pytest.mark.parametrize("server_key", ["", "canary", "caaspub1.", "caaspub1.canary"])
def test_odd_server_key_is_refused(make: Any, server_key: str) -> None:
    """A wrong public key is found at once, and not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        make(server_key=server_key)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("broker_url", ["", "amqp://canary", "canary"])
def test_odd_broker_url_is_refused(make: Any, broker_url: str) -> None:
    """A wrong address is found before the first call."""
    with pytest.raises(ConfigurationError, match="CAAS_BROKER_URL") as caught:
        make(transport=None, broker_url=broker_url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("api_key", "error"),
    [
        (7, InvalidRequestError),
        (b"caas_x", InvalidRequestError),
        ("\ud800", InvalidRequestError),
        ("x" * 257, UnauthorizedError),
    ],
)
def test_odd_api_key_is_refused(make: Any, api_key: object, error: type[Exception]) -> None:
    """What can't be a key is refused where it is given, as the client's own or with a request."""
    with pytest.raises(error):
        make(api_key=api_key)
    with pytest.raises(error):
        make()._key(api_key)


def test_request_without_any_api_key_is_unauthorized(make: Any) -> None:
    """A front without a key of its own needs one with each request."""
    client = make(api_key=None)
    with pytest.raises(UnauthorizedError):
        client._key(None)
    assert client._key("other") == "other"


def test_own_api_key_is_the_default(make: Any) -> None:
    """A request's key wins over the client's."""
    assert make()._key(None) == KEY
    assert make()._key("other") == "other"


def test_repr_shows_no_secret(make: Any, service: InMemoryService) -> None:
    """A client in a log line shows its timeout and nothing else."""
    client = make(transport=None, broker_url="redis://:canary@127.0.0.1:1/0")
    assert repr(client) == "BaseClient(timeout_s=5.0)"


def test_only_answer_is_taken_or_raised() -> None:
    """A single call's answer is its first; an error in its place is raised."""
    assert BaseClient._only([{"a": 1}]) == {"a": 1}
    with pytest.raises(RateLimitedError) as caught:
        BaseClient._only([{"error": {"code": "rate_limited", "retry_after": 3}}])
    assert caught.value.retry_after_s == 3


@pytest.mark.parametrize("outcome", [None, UnauthorizedError()])
def test_probe_is_passed_when_a_worker_refuses_its_key(outcome: Any) -> None:
    """Only a worker that opened the message can say that its API key is none."""
    BaseClient._check_probe(outcome)


def test_probe_fails_with_what_is_in_the_way() -> None:
    """Any other error is the reason."""
    with pytest.raises(InternalError):
        BaseClient._check_probe(InternalError())


def test_unused_client_is_collected(make: Any) -> None:
    """A client that was never used holds no thread and is not kept alive."""
    import weakref

    reference = weakref.ref(make())
    gc.collect()
    assert reference() is None
