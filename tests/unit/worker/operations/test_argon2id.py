"""Argon2id by argon2-cffi's low-level function: as its own high-level one computes it."""

from __future__ import annotations

import pytest
from argon2 import low_level
from argon2.exceptions import HashingError

from caas_tasks.stored_forms import Argon2Parameters
from worker.operations.argon2id import argon2id


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 99])
@pytest.mark.parametrize("costs", [(8, 1, 1), (64, 2, 4), (100, 3, 3)])
@pytest.mark.parametrize(("secret", "size"), [(b"", 4), (b"\0p\0", 32), (bytes(48), 64)])
def test_threads_do_not_show(
    secret: bytes, size: int, costs: tuple[int, int, int], threads: int
) -> None:
    """The digest is what `hash_secret_raw` makes, however many threads compute it."""
    memory_kib, time_cost, parallelism = costs
    salt = bytes(range(16))
    expected = low_level.hash_secret_raw(
        secret, salt, time_cost, memory_kib, parallelism, size, low_level.Type.ID
    )
    cost = Argon2Parameters(memory_kib=memory_kib, time_cost=time_cost, parallelism=parallelism)
    assert argon2id(secret, salt, cost, size, threads) == expected


def test_what_argon2_refuses() -> None:
    """Too little memory for the lanes is an error that repeats no input."""
    cost = Argon2Parameters(memory_kib=8, time_cost=1, parallelism=2)
    with pytest.raises(HashingError) as caught:
        argon2id(b"canary", b"canary-salt", cost, 32, 1)
    assert "canary" not in repr(caught.value)
