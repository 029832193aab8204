"""Values, tokens and passwords through the life of their key version, through both clients."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from caas_tasks.errors import ConfigurationError, KeyUnavailableError, ServiceUnavailableError
from producer_client.testing import InMemoryService
from worker.keystore import lifecycle, upkeep
from worker.keystore.document import Keystore

Call = Callable[..., Any]
USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
NOW_S = 1_760_000_000


class Old:
    """What was made under the primary version of its time, and how to ask for it."""

    def __init__(self, call: Call) -> None:
        encrypted = call("encrypt", USER_UUID, "data")
        token = call("seal", USER_UUID, b"data", b"context")
        password = call("hash_password", USER_UUID, "a password")
        self.asks: dict[str, Callable[[], Any]] = {
            "verify": lambda: call(
                "verify", USER_UUID, "data", encrypted.encrypted_data, encrypted.key_version
            ),
            "open": lambda: call("open", USER_UUID, token, b"context"),
            "rewrap": lambda: call("rewrap", USER_UUID, token, b"context"),
            "verify_password": lambda: call("verify_password", USER_UUID, "a password", password),
        }


def disabled(keystore: Keystore) -> Keystore:
    return lifecycle.disable(keystore, 1)


def pending(keystore: Keystore) -> Keystore:
    return lifecycle.schedule_destruction(keystore, 1, NOW_S)


def destroyed(keystore: Keystore) -> Keystore:
    gone = lifecycle.schedule_destruction(keystore, 1, NOW_S, 0)
    return upkeep.keep_up(gone, NOW_S, secrets.token_bytes)


def below_the_minimum(keystore: Keystore) -> Keystore:
    return lifecycle.set_minimums(keystore, checking=2)


@pytest.mark.parametrize("operation", ["verify", "open", "rewrap", "verify_password"])
def test_old_value_after_a_rotation(call: Call, service: InMemoryService, operation: str) -> None:
    """What an older version made is still recognised, and said to be due."""
    old = Old(call)
    assert service.rotate_key() == 2
    answer = old.asks[operation]()
    due = {"verify": "needs_update", "verify_password": "needs_update", "rewrap": "changed"}
    assert answer == b"data" if operation == "open" else getattr(answer, due[operation])


@pytest.mark.parametrize("operation", ["verify", "open", "rewrap", "verify_password"])
@pytest.mark.parametrize(
    "end", [disabled, pending, destroyed, below_the_minimum], ids=lambda end: end.__name__
)
def test_value_of_a_version_that_is_over(
    call: Call,
    service: InMemoryService,
    operation: str,
    end: Callable[[Keystore], Keystore],
) -> None:
    """A disabled, pending or destroyed version, and one below the minimum, is unavailable."""
    old = Old(call)
    service.rotate_key()
    service._replace(end(service._keystore))
    with pytest.raises(KeyUnavailableError):
        old.asks[operation]()


@pytest.mark.parametrize("operation", ["verify", "open", "rewrap", "verify_password"])
def test_value_of_a_version_that_is_not_known_yet(
    call: Call, service: InMemoryService, operation: str
) -> None:
    """A worker with an older file asks to try again, and never says that the value is wrong."""
    before = service._keystore
    service.rotate_key()
    new = Old(call)
    service._replace(before)
    with pytest.raises(ServiceUnavailableError) as caught:
        new.asks[operation]()
    assert caught.value.retry_after_s == 1.0


def test_the_primary_stays(service: InMemoryService) -> None:
    """A test can't disable what makes the values."""
    with pytest.raises(ConfigurationError):
        service.disable_key(1)


def test_disabled_key(call: Call, service: InMemoryService) -> None:
    """A user's own test can have a version's values be unavailable."""
    old = Old(call)
    service.rotate_key()
    service.disable_key(1)
    with pytest.raises(KeyUnavailableError):
        old.asks["open"]()
