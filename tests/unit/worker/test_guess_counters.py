"""What is sent again to the common count after a lost reply, by a server that loses every one."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator

import pytest

from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.redis_url import parse_broker_url
from worker.guess_counters import GuessCounters, Wanted, open_client
from worker.guess_windows import Budget


class Losing(socketserver.ThreadingTCPServer):
    """Takes scripts and hangs up in place of an answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken = 0


class Handler(socketserver.BaseRequestHandler):
    """One connection."""

    server: Losing

    def handle(self) -> None:
        """Agree to everything until a script comes."""
        while data := self.request.recv(65_536):
            if b"EVALSHA" in data:
                self.server.taken += 1
                return
            if b"HELLO" in data:
                self.request.sendall(b"%1\r\n$5\r\nproto\r\n:3\r\n")
                continue
            self.request.sendall(b"+OK\r\n" * len(re.findall(rb"(?m)^\*\d+\r$", data)))


@pytest.fixture
def server() -> Iterator[Losing]:
    with Losing() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def counters(server: Losing) -> Iterator[GuessCounters]:
    host, port = server.server_address[:2]
    with open_client(parse_broker_url(f"redis://{host!s}:{port}/0")) as client:
        yield GuessCounters(client, lambda: 0.0)


def test_guesses_are_given_back_at_most_once(server: Losing, counters: GuessCounters) -> None:
    """With the reply lost, they are not given back again: they would be nobody's."""
    counters.give_back({"caas:guess:60:0:a": 1})
    assert server.taken == 1


def test_guesses_are_asked_for_twice(server: Losing, counters: GuessCounters) -> None:
    """Taking is tried once more before the guesses are refused."""
    with pytest.raises(ServiceUnavailableError):
        counters.take([Wanted("a", 1, 0, 0)], Budget.of(60, 1_000), 0.0)
    assert server.taken == 2
