"""What workers and brokers say of their CPU time, and what is made of silence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import redis

from caas_cli import bench_meters
from caas_cli.bench_meters import Meters


class Fleet:
    """Workers by name, with the CPU seconds that each tells; a question may go unheard."""

    def __init__(self) -> None:
        self.cpu_s = {"fast": 1.0, "password": 50.0}
        self.silent: list[set[str]] = []
        self.control = self

    def inspect(
        self, *, timeout: float, destination: list[str] | None = None, limit: int | None = None
    ) -> Any:
        """One question to all, or to some."""
        assert timeout > 0
        assert limit == (None if destination is None else len(destination))
        deaf = self.silent.pop(0) if self.silent else set()
        heard = [name for name in destination or self.cpu_s if name not in deaf]
        usage = {
            name: {"rusage": {"utime": self.cpu_s[name], "stime": 0.5, "maxrss": 90_000}}
            for name in heard
        }
        return SimpleNamespace(stats=lambda: usage or None)


class Server:
    """A broker that tells its CPU time, or refuses to."""

    refuses = False

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None: ...

    def info(self, _section: str) -> dict[str, float]:
        if self.refuses:
            raise redis.ResponseError("NOPERM")
        return {"used_cpu_user": 2.0, "used_cpu_sys": 1.0}


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    made = Fleet()
    monkeypatch.setattr(bench_meters, "create_app", lambda _broker: made)
    return made


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(bench_meters, "connect", lambda _broker, **_options: made)
    return made


def meters() -> Meters:
    return Meters("redis://127.0.0.1:6379/0")


def test_cpu_is_that_of_all_workers(fleet: Fleet, server: Server) -> None:
    """User and system time of each of them, and the broker's own."""
    read = meters().read()
    assert (read.worker_s, read.broker_s) == (52.0, 3.0)


def test_a_worker_that_missed_the_first_question_counts(fleet: Fleet, server: Server) -> None:
    """One may be busy with a password when it is asked who is there."""
    fleet.silent = [{"password"}]
    assert meters().workers == 2


def test_a_worker_that_falls_silent_leaves_no_figure(fleet: Fleet, server: Server) -> None:
    """Better none than the difference between two different sets of workers."""
    made = meters()
    fleet.silent = [{"fast"}]
    assert made.read().worker_s is None


def test_without_workers_there_is_no_figure(fleet: Fleet, server: Server) -> None:
    """None can be asked."""
    fleet.cpu_s.clear()
    made = meters()
    assert (made.workers, made.read().worker_s) == (0, None)


def test_a_broker_that_refuses_leaves_no_figure(fleet: Fleet, server: Server) -> None:
    """The rights of a client may not reach that far; the rest is measured all the same."""
    server.refuses = True
    read = meters().read()
    assert (read.worker_s, read.broker_s) == (52.0, None)


def test_memory_is_the_largest_workers(fleet: Fleet, server: Server) -> None:
    """What is planned for each of them."""
    made = meters()
    made.read()
    assert made.worker_rss_kib == 90_000
