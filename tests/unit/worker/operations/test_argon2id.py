"""Argon2id by argon2-cffi's low-level function: as its own high-level one computes it."""

from __future__ import annotations

from typing import Any

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


@pytest.mark.parametrize(("threads", "used"), [(1, 1), (3, 3), (9, 4)])
def test_threads_are_as_many_as_asked_for(
    monkeypatch: pytest.MonkeyPatch, threads: int, used: int
) -> None:
    """The lanes stay; their threads are the caller's, and no more than there are lanes."""
    seen: list[tuple[int, int]] = []
    core = low_level.core

    def noted(context: Any, kind: int) -> int:
        seen.append((context.lanes, context.threads))
        return core(context, kind)

    monkeypatch.setattr("worker.operations.argon2id.core", noted)
    cost = Argon2Parameters(memory_kib=64, time_cost=1, parallelism=4)
    argon2id(b"secret", bytes(16), cost, 32, threads)
    assert seen == [(4, used)]


def test_what_argon2_refuses() -> None:
    """Too little memory for the lanes is an error that repeats no input."""
    cost = Argon2Parameters(memory_kib=8, time_cost=1, parallelism=2)
    with pytest.raises(HashingError) as caught:
        argon2id(b"canary", b"canary-salt", cost, 32, 1)
    assert "canary" not in repr(caught.value)
