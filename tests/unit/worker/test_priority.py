"""Standing back: by a nice value, and with the largest only where nobody else wants the core."""

from __future__ import annotations

import os
import threading

import pytest

from worker.priority import StandingBack


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the system was asked for."""
    calls: list[object] = []
    monkeypatch.setattr(os, "nice", calls.append)
    monkeypatch.setattr(os, "sched_setscheduler", lambda *args: calls.append(args[:2]))
    return calls


def enter_in_a_thread(standing_back: StandingBack, times: int = 1) -> None:
    """As a hashing thread does."""
    thread = threading.Thread(target=lambda: [standing_back.enter() for _ in range(times)])
    thread.start()
    thread.join()


@pytest.mark.parametrize("nice", [0, 10, 18])
def test_a_nice_value_shares_time_out(asked: list[object], nice: int) -> None:
    """Up to 18 a thread is scheduled as others are."""
    enter_in_a_thread(StandingBack(nice))
    assert asked == [nice]


def test_the_largest_takes_only_what_is_left(asked: list[object]) -> None:
    """At 19 a thread never keeps another program waiting."""
    enter_in_a_thread(StandingBack(19))
    assert asked == [19, (0, os.SCHED_IDLE)]


def test_each_thread_enters_once(asked: list[object]) -> None:
    """A nice value adds up, so it is not given twice."""
    standing_back = StandingBack(5)
    enter_in_a_thread(standing_back, times=3)
    enter_in_a_thread(standing_back)
    assert asked == [5, 5]


def test_the_main_thread_stays(asked: list[object]) -> None:
    """What fetches messages goes on as it was."""
    StandingBack(19).enter()
    assert asked == []


def test_a_container_that_forbids_it_is_no_fault(
    asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nice value has to do then."""

    def forbid(*_args: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbid)
    enter_in_a_thread(StandingBack(19))
    assert asked == [19]
