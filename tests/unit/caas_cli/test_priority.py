"""Standing back: by a nice value, and with the largest only where nobody else wants the core."""

from __future__ import annotations

import os

import pytest

from caas_cli import priority


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the system was asked for."""
    calls: list[object] = []
    monkeypatch.setattr(os, "nice", calls.append)
    monkeypatch.setattr(os, "sched_setscheduler", lambda *args: calls.append(args[:2]))
    return calls


@pytest.mark.parametrize("nice", [0, 10, 18])
def test_a_nice_value_shares_time_out(asked: list[object], nice: int) -> None:
    """Up to 18 the process is scheduled as others are."""
    priority.stand_back(nice)
    assert asked == [nice]


def test_the_largest_takes_only_what_is_left(asked: list[object]) -> None:
    """At 19 the process never keeps another waiting."""
    priority.stand_back(19)
    assert asked == [19, (0, os.SCHED_IDLE)]


def test_a_container_that_forbids_it_is_no_fault(
    asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nice value has to do then."""

    def forbid(*_args: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbid)
    priority.stand_back(19)
    assert asked == [19]
