"""Commands that do not wait for answers: what is sent, when answers count, what is noticed."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from caas_tasks import pipelining
from caas_tasks.pipelining import CHECK_AFTER_S, PipelinedConnection

REFUSAL = redis.ResponseError("OOM command not allowed")
LOST = redis.ConnectionError("closed")


class FakeConnection:
    """A redis-py connection that gives prepared answers."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.answers: list[Any] = []
        self.send_error: Exception | None = None
        self.is_open = True
        self.has_ended = False

    def pack_command(self, *parts: Any) -> list[bytes]:
        return [" ".join(map(str, parts)).encode(), b"\n"]

    def send_packed_command(self, command: list[bytes], check_health: bool = True) -> None:
        assert not check_health
        if self.send_error is not None:
            raise self.send_error
        self.sent.extend(command)

    def read_response(self) -> Any:
        answer = self.answers.pop(0) if self.answers else 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def can_read(self, _timeout: float) -> bool:
        return self.has_ended

    def disconnect(self) -> None:
        self.is_open = False


class Broker:
    """Hands out connections, and has a clock."""

    def __init__(self) -> None:
        self.connections: list[FakeConnection] = []
        self.next_error: Exception | None = None
        self.now_s = 100.0

    def acquire(self) -> FakeConnection:
        self.connections.append(FakeConnection())
        self.connections[-1].send_error = self.next_error
        return self.connections[-1]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(pipelining.time, "monotonic", lambda: broker.now_s)
    return broker


@pytest.fixture
def pipeline(broker: Broker) -> PipelinedConnection:
    return PipelinedConnection(broker.acquire)


def test_commands_leave_in_one_write(broker: Broker, pipeline: PipelinedConnection) -> None:
    """Commands that are sent together are one write."""
    pipeline.send(("RPUSH", "key", "value"), ("EXPIRE", "key", 60))
    assert broker.connections[0].sent == [b"RPUSH key value\nEXPIRE key 60\n"]


def test_answers_are_read_with_the_next_commands(
    broker: Broker, pipeline: PipelinedConnection
) -> None:
    """Nothing is read for the first commands until the second have left."""
    pipeline.send(("A",), ("B",))
    connection = broker.connections[0]
    connection.answers = [1, 1, "the third's"]
    pipeline.send(("C",))
    assert connection.answers == ["the third's"]


def test_a_refusal_is_raised_at_the_next_commands(
    broker: Broker, pipeline: PipelinedConnection
) -> None:
    """What the server refused is raised to the next sender."""
    pipeline.send(("A",))
    broker.connections[0].answers = [REFUSAL]
    with pytest.raises(redis.ResponseError):
        pipeline.send(("B",))


def test_answers_are_read_off_the_way(broker: Broker, pipeline: PipelinedConnection) -> None:
    """Commands leave before the answers to those before are looked at."""
    pipeline.send(("A",))
    broker.connections[0].answers = [REFUSAL]
    with pytest.raises(redis.ResponseError):
        pipeline.send(("B",))
    assert broker.connections[0].sent == [b"A\n", b"B\n"]


def test_all_answers_are_read_whatever_one_says(
    broker: Broker, pipeline: PipelinedConnection
) -> None:
    """A refusal does not leave the answers after it for later commands."""
    pipeline.send(("A",), ("B",))
    connection = broker.connections[0]
    connection.answers = [REFUSAL, 1]
    with pytest.raises(redis.ResponseError):
        pipeline.send(("C",))
    assert connection.answers == []


def test_after_a_refusal_each_command_is_confirmed(
    broker: Broker, pipeline: PipelinedConnection
) -> None:
    """A broker that goes on refusing is noticed by the sender of each command itself."""
    pipeline.send(("A",))
    connection = broker.connections[0]
    connection.answers = [REFUSAL, REFUSAL, REFUSAL, "waits"]
    with pytest.raises(redis.ResponseError):
        pipeline.send(("B",))
    with pytest.raises(redis.ResponseError):
        pipeline.send(("C",))
    assert connection.answers == ["waits"]


def test_a_refusal_that_was_read_while_resting_counts(
    broker: Broker, pipeline: PipelinedConnection
) -> None:
    """The commands after a rest are confirmed when those before it were refused."""
    pipeline.send(("A",))
    broker.connections[0].answers = [REFUSAL, REFUSAL]
    broker.now_s += CHECK_AFTER_S + 0.1
    with pytest.raises(redis.ResponseError):
        pipeline.send(("B",))
    assert broker.connections[0].answers == []


def test_an_accepted_command_ends_the_confirming(
    broker: Broker, pipeline: PipelinedConnection
) -> None:
    """Once the broker takes commands again, answers wait again."""
    pipeline.send(("A",))
    connection = broker.connections[0]
    connection.answers = [REFUSAL, 1, 1, "waits"]
    with pytest.raises(redis.ResponseError):
        pipeline.send(("B",))
    pipeline.send(("C",))
    pipeline.send(("D",))
    assert connection.answers == ["waits"]


def test_a_lost_connection_is_replaced(broker: Broker, pipeline: PipelinedConnection) -> None:
    """Commands go out again on a new connection when the old one ends under its answers."""
    pipeline.send(("A",))
    broker.connections[0].answers = [LOST]
    pipeline.send(("B",))
    assert [connection.sent for connection in broker.connections] == [[b"A\n", b"B\n"], [b"B\n"]]
    assert not broker.connections[0].is_open


def test_a_rested_connection_is_looked_at(broker: Broker, pipeline: PipelinedConnection) -> None:
    """One that was closed while nothing was sent is not written to."""
    pipeline.send(("A",))
    broker.connections[0].has_ended = True
    broker.now_s += CHECK_AFTER_S + 0.1
    pipeline.send(("B",))
    assert broker.connections[1].sent == [b"B\n"]


def test_a_busy_connection_is_not_looked_at(broker: Broker, pipeline: PipelinedConnection) -> None:
    """Looking costs a system call, which a connection in use is spared."""
    pipeline.send(("A",))
    broker.connections[0].has_ended = True
    pipeline.send(("B",))
    assert len(broker.connections) == 1


def test_failing_to_send_is_raised(broker: Broker, pipeline: PipelinedConnection) -> None:
    """What does not leave on a new connection either is the sender's to know."""
    pipeline.send(("A",))
    broker.connections[0].send_error = broker.next_error = LOST
    with pytest.raises(redis.ConnectionError):
        pipeline.send(("B",))


def test_after_a_failure_another_connection_is_tried(
    broker: Broker, pipeline: PipelinedConnection
) -> None:
    """The failed one is dropped for good."""
    pipeline.send(("A",))
    broker.connections[0].send_error = LOST
    pipeline.send(("B",))
    pipeline.send(("C",))
    assert broker.connections[1].sent == [b"B\n", b"C\n"]
    assert not broker.connections[0].is_open


def test_closing_reads_what_is_outstanding(broker: Broker, pipeline: PipelinedConnection) -> None:
    """Once closed, all that was sent has arrived."""
    pipeline.send(("A",))
    connection = broker.connections[0]
    connection.answers = [1]
    pipeline.close()
    assert (connection.answers, connection.is_open) == ([], False)


@pytest.mark.parametrize("answer", [REFUSAL, LOST])
def test_closing_never_fails(
    broker: Broker, pipeline: PipelinedConnection, answer: Exception
) -> None:
    """Closing passes over what the last commands were answered with."""
    pipeline.send(("A",))
    broker.connections[0].answers = [answer]
    pipeline.close()
    assert not broker.connections[0].is_open


def test_closing_twice_is_allowed(pipeline: PipelinedConnection) -> None:
    """One that never sent has nothing to close."""
    pipeline.close()
    pipeline.close()
