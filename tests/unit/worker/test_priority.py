"""Standing back: each hashing thread once, and the session of a process that leads one."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from worker.priority import StandingBack


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The nice values that the system was asked for."""
    calls: list[int] = []
    monkeypatch.setattr(os, "nice", calls.append)
    return calls


@pytest.fixture
def leads(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process leads its session."""
    monkeypatch.setattr(os, "getsid", lambda _pid: os.getpid())


@pytest.fixture
def autogroup(tmp_path: Path) -> Path:
    """Where the kernel would take a session's nice value."""
    path = tmp_path / "autogroup"
    path.write_text("/autogroup-54 nice 0")
    return path


def enter_in_a_thread(standing_back: StandingBack, times: int = 1) -> None:
    """As a hashing thread does."""
    thread = threading.Thread(target=lambda: [standing_back.enter() for _ in range(times)])
    thread.start()
    thread.join()


def test_each_thread_enters_once(asked: list[int], autogroup: Path) -> None:
    """A nice value adds up, so it is not given twice."""
    standing_back = StandingBack(5, autogroup)
    enter_in_a_thread(standing_back, times=3)
    enter_in_a_thread(standing_back)
    assert asked == [5, 5]


@pytest.mark.usefixtures("leads")
def test_the_main_thread_stays(asked: list[int], autogroup: Path) -> None:
    """What fetches messages goes on as it was."""
    StandingBack(19, autogroup).enter()
    assert asked == []
    assert autogroup.read_text() == "/autogroup-54 nice 0"


@pytest.mark.usefixtures("asked", "leads")
def test_a_session_stands_back_with_its_leader(autogroup: Path) -> None:
    """Between sessions the kernel looks at the session's value alone."""
    enter_in_a_thread(StandingBack(12, autogroup))
    assert autogroup.read_text() == "12"


@pytest.mark.usefixtures("asked")
def test_a_session_of_others_is_left_alone(
    autogroup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker started by hand doesn't slow its terminal's shell."""
    monkeypatch.setattr(os, "getsid", lambda _pid: os.getpid() + 1)
    enter_in_a_thread(StandingBack(12, autogroup))
    assert autogroup.read_text() == "/autogroup-54 nice 0"


@pytest.mark.usefixtures("leads")
def test_nobody_stands_back_for_nothing(asked: list[int], autogroup: Path) -> None:
    """With 0 all stays as it was."""
    enter_in_a_thread(StandingBack(0, autogroup))
    assert asked == [0]
    assert autogroup.read_text() == "/autogroup-54 nice 0"


@pytest.mark.usefixtures("leads")
@pytest.mark.parametrize(
    ("error", "tries"), [(PermissionError, 1), (FileNotFoundError, 1), (BlockingIOError, 3)]
)
def test_a_kernel_that_refuses(
    asked: list[int],
    autogroup: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[OSError],
    tries: int,
) -> None:
    """The threads' own values have to do; one that is too busy is asked again."""
    tried: list[str] = []

    def refuse(_path: Path, text: str) -> None:
        tried.append(text)
        raise error

    monkeypatch.setattr(Path, "write_text", refuse)
    enter_in_a_thread(StandingBack(19, autogroup), times=3)
    assert tried == ["19"] * tries
    assert asked == [19]
