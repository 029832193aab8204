"""The parts of `caas up`: every broker gets workers of each kind."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from caas_cli.home import Home
from caas_cli.up import Running, UpOptions, _service_parts

ONE = "redis://127.0.0.1:1"
TWO = f"{ONE},redis://127.0.0.1:2"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.mark.parametrize(
    ("urls", "workers", "expected"),
    [
        (ONE, 2, {"worker-1": None, "worker-2": None, "passwords": None}),
        (
            TWO,
            1,
            {"worker-1": "0", "worker-2": "1", "passwords-1": "0", "passwords-2": "1"},
        ),
        (
            TWO,
            3,
            {
                "worker-1": "0",
                "worker-2": "1",
                "worker-3": "0",
                "passwords-1": "0",
                "passwords-2": "1",
            },
        ),
    ],
)
def test_workers_are_given_to_brokers_in_turn(
    made: Home,
    listener: socket.socket,
    urls: str,
    workers: int,
    expected: dict[str, str | None],
) -> None:
    """With several brokers each worker is told its own, and no broker is left without."""
    running = Running(made, "127.0.0.1", 1, urls, "key", "")
    parts = _service_parts(running, UpOptions("127.0.0.1", 1, workers), listener)
    found = {p.name: p.environment.get("CAAS_BROKER_INDEX") for p in parts if p.name != "gateway"}
    assert found == expected
