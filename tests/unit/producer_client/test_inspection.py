"""What a stored value is, told without any key."""

from __future__ import annotations

from typing import Any

import pytest

from caas_tasks.errors import InvalidRequestError
from caas_tasks.stored_forms import Argon2Parameters, PasswordHash, Token
from producer_client import Inspection, inspect


def test_token() -> None:
    """A token tells its form, its key version and the algorithm."""
    token = Token(7, bytes(32), bytes(32), bytes(20)).to_text()
    assert inspect(token) == Inspection("token", 7, "caas1", "AES-256-GCM")


@pytest.mark.parametrize(
    ("cost", "profile"),
    [((65_536, 3, 4), "rfc9106-low-memory"), ((65_536, 4, 4), None)],
)
def test_password_hash(cost: tuple[int, int, int], profile: str | None) -> None:
    """A password hash tells its costs, by name where they have one."""
    stored = PasswordHash(Argon2Parameters(*cost), 3, bytes(16), bytes(32)).to_text()
    algorithm = f"Argon2id m={cost[0]},t={cost[1]},p={cost[2]}"
    assert inspect(stored) == Inspection("password_hash", 3, profile, algorithm)


@pytest.mark.parametrize("value", ["", "canary", "caas1.", "$2b$12$x", "a" * 10**6, None, 7, b"x"])
def test_anything_else(value: Any) -> None:
    """What is neither is refused, and not repeated."""
    with pytest.raises(InvalidRequestError) as caught:
        inspect(value)
    assert str(caught.value) == "The value is neither a token nor a password hash."
