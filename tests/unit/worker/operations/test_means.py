"""The memory that passwords share: never more than the budget, and each gets its turn."""

from __future__ import annotations

import threading

import pytest

from worker.operations.means import PasswordMemory

SAFETY_S = 30.0


def test_no_bound() -> None:
    """Without a budget everything is allowed, however much is in use."""
    memory = PasswordMemory()
    with memory.reserve(2**40):
        assert memory.allows(2**40)
        with memory.reserve(2**40):
            pass


@pytest.mark.parametrize(("kib", "allowed"), [(0, True), (100, True), (101, False)])
def test_budget(kib: int, allowed: bool) -> None:
    """What is over the whole budget could never be had."""
    assert PasswordMemory(100).allows(kib) is allowed


def test_memory_is_given_back_after_an_error() -> None:
    """A hash that fails leaves nothing reserved."""
    memory = PasswordMemory(100)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), memory.reserve(100):
            raise ZeroDivisionError


def test_never_more_than_the_budget() -> None:
    """Many threads together stay within it, and all get through."""
    memory = PasswordMemory(100)
    lock = threading.Lock()
    used = peak = done = 0

    def hash_one(kib: int) -> None:
        nonlocal used, peak, done
        for _ in range(50):
            with memory.reserve(kib):
                with lock:
                    used += kib
                    peak = max(peak, used)
                with lock:
                    used -= kib
                    done += 1

    threads = [threading.Thread(target=hash_one, args=(kib,)) for kib in (10, 20, 30, 60, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SAFETY_S)
    assert done == 250
    assert peak <= 100


def test_large_one_is_not_passed_for_ever() -> None:
    """While a large hash waits, later small ones wait behind it."""
    memory = PasswordMemory(100)
    order: list[str] = []
    large_waits = threading.Event()

    def large() -> None:
        large_waits.set()
        with memory.reserve(100):
            order.append("large")

    def later() -> None:
        with memory.reserve(10):
            order.append("later")

    with memory.reserve(50):
        first = threading.Thread(target=large)
        first.start()
        assert large_waits.wait(SAFETY_S)
        while not memory._turn.locked():
            threading.Event().wait(0.001)
        second = threading.Thread(target=later)
        second.start()
        assert order == []
    first.join(SAFETY_S)
    second.join(SAFETY_S)
    assert order == ["large", "later"]
