"""What passwords share: never more memory than there is, each gets its turn, and no core twice."""

from __future__ import annotations

import threading

import pytest

from worker.operations.means import PasswordRoom

SAFETY_S = 30.0


def test_no_bound() -> None:
    """Without a budget everything is allowed, however much is in use."""
    room = PasswordRoom()
    with room.reserve(2**40):
        assert room.allows(2**40)
        with room.reserve(2**40):
            pass


@pytest.mark.parametrize(("kib", "allowed"), [(0, True), (100, True), (101, False)])
def test_budget(kib: int, allowed: bool) -> None:
    """What is over the whole budget could never be had."""
    assert PasswordRoom(100).allows(kib) is allowed


def test_memory_is_given_back_after_an_error() -> None:
    """A hash that fails leaves nothing reserved."""
    room = PasswordRoom(100)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.reserve(100):
            raise ZeroDivisionError


def test_never_more_than_the_budget() -> None:
    """Many threads together stay within it, and all get through."""
    room = PasswordRoom(100)
    lock = threading.Lock()
    used = peak = done = 0

    def hash_one(kib: int) -> None:
        nonlocal used, peak, done
        for _ in range(50):
            with room.reserve(kib):
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
    room = PasswordRoom(100)
    order: list[str] = []
    large_waits = threading.Event()

    def large() -> None:
        large_waits.set()
        with room.reserve(100):
            order.append("large")

    def later() -> None:
        with room.reserve(10):
            order.append("later")

    with room.reserve(50):
        first = threading.Thread(target=large)
        first.start()
        assert large_waits.wait(SAFETY_S)
        while not room._turn.locked():
            threading.Event().wait(0.001)
        second = threading.Thread(target=later)
        second.start()
        assert order == []
    first.join(SAFETY_S)
    second.join(SAFETY_S)
    assert order == ["large", "later"]


def test_cores_are_shared() -> None:
    """A hash gets those that no other has, as many as are of use to it, and one at least."""
    room = PasswordRoom(cores=6)
    with room.reserve(1, 4) as first, room.reserve(1, 4) as second, room.reserve(1, 4) as third:
        assert (first, second, third) == (4, 2, 1)
    with room.reserve(1, 1), room.reserve(1, 8) as next_one:
        assert next_one == 5
