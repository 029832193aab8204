"""Whose turn it is to read: a lone caller's own, or the reader thread's, and that all is read."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.names import Lane, Operation
from producer_client import reading
from producer_client.calls import ThreadCall
from producer_client.flights import Flight
from producer_client.reading import OWN_READ_S, Reader
from producer_client.transport import IncomingReply, OutgoingMessage

SAFETY_S = 30.0
FAR_S = 60.0


class World:
    """A reader, what it reads from, and what is in flight."""

    def __init__(self) -> None:
        self.replies: queue.SimpleQueue[IncomingReply | None] = queue.SimpleQueue()
        self.flights: dict[str, Flight] = {}
        self.readers: list[str] = []
        self.is_deaf = False
        self.reader = Reader(self, self.take, lambda: bool(self.flights))  # type: ignore[arg-type]
        self.thread = threading.Thread(target=self.reader.run, name="caas-reader", daemon=True)

    def receive(self, timeout_s: float) -> list[IncomingReply]:
        if self.is_deaf:
            raise ServiceUnavailableError
        try:
            reply = self.replies.get(timeout=timeout_s)
        except queue.Empty:
            return []
        self.readers.append(threading.current_thread().name)
        return [] if reply is None else [reply]

    def interrupt(self) -> None:
        self.replies.put(None)

    def take(self, replies: list[IncomingReply]) -> None:
        for reply in replies:
            for call in self.flights.pop(reply.message_id).deliver([{"n": reply.message_id}]):
                call.wake()

    def send(self, name: str, *, needs_reader: bool, left_s: float = FAR_S) -> ThreadCall:
        """A call in a message of its own, on its way."""
        call = ThreadCall(Operation.ENCRYPT, "key", [{"v": 1}], time.monotonic() + left_s)
        call.needs_reader = needs_reader
        message = OutgoingMessage(Operation.ENCRYPT, Lane.FAST, name, "sealed")
        self.flights[name] = Flight(message, None, [call])  # type: ignore[arg-type] # not sealed
        self.reader.expect(self.flights[name])
        return call

    def answer(self, name: str) -> None:
        self.replies.put(IncomingReply(name, "sealed"))

    def ask(self, name: str, left_s: float = FAR_S) -> bool:
        """A call that is answered at once."""
        call = self.send(name, needs_reader=False, left_s=left_s)
        self.answer(name)
        return self.reader.wait(call)


@pytest.fixture
def world() -> Iterator[World]:
    """A reader whose thread runs; the first call has connected it."""
    made = World()
    made.thread.start()
    assert made.ask("first")
    yield made
    made.is_deaf = False
    made.reader.stop()
    made.thread.join(SAFETY_S)
    assert not made.thread.is_alive()


def in_thread(function: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Run a function in a thread; its result is in the list after a join."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()), name="another")
    thread.start()
    return thread, results


def test_first_connection_is_the_reader_threads(world: World) -> None:
    """A caller with a deadline does not wait for a connection to be made."""
    assert world.readers == ["caas-reader"]


def test_lone_caller_reads_by_itself(world: World) -> None:
    """No other thread is woken for it."""
    assert world.ask("second")
    assert world.readers[1:] == [threading.current_thread().name]


def test_caller_with_a_near_deadline_leaves_it_to_the_thread(world: World) -> None:
    """A broker that does not answer would keep it past its deadline."""
    assert world.ask("second", left_s=OWN_READ_S - 0.1)
    assert world.readers[1:] == ["caas-reader"]


def test_caller_who_reads_delivers_others_answers(world: World) -> None:
    """What comes is handed on, whoever's it is."""
    others = world.send("others", needs_reader=False)
    own = world.send("own", needs_reader=False)
    world.answer("others")
    world.answer("own")
    assert world.reader.wait(own)
    assert others.wait(0)


def test_second_caller_is_served_when_the_first_has_gone(world: World) -> None:
    """The reader thread goes on where the first caller stopped reading."""
    first, second = (world.send(name, needs_reader=False) for name in ("a", "b"))
    reading_one, first_result = in_thread(lambda: world.reader.wait(first))
    waiting_one, second_result = in_thread(lambda: world.reader.wait(second))
    world.answer("a")
    reading_one.join(SAFETY_S)
    world.answer("b")
    waiting_one.join(SAFETY_S)
    assert (first_result, second_result) == ([True], [True])


def test_sender_wakes_the_thread_for_one_who_waits(world: World) -> None:
    """A call that was queued when its thread began to wait is read by the reader thread."""
    call = ThreadCall(Operation.ENCRYPT, "key", [{"v": 1}], time.monotonic() + FAR_S)
    call.needs_reader = False
    world.reader._turn.acquire()
    waiter, result = in_thread(lambda: world.reader.wait(call))
    while not call.needs_reader:
        time.sleep(0)
    world.reader._turn.release()
    message = OutgoingMessage(Operation.ENCRYPT, Lane.FAST, "late", "sealed")
    world.flights["late"] = Flight(message, None, [call])  # type: ignore[arg-type] # not sealed
    world.reader.expect(world.flights["late"])
    world.answer("late")
    waiter.join(SAFETY_S)
    assert (result, world.readers[-1]) == ([True], "caas-reader")


def test_failing_to_read_is_the_threads_to_mend(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller whose reading fails waits for the reader thread, which tries on."""
    monkeypatch.setattr(reading, "_BACKOFF_S", (0.001,))
    world.is_deaf = True
    call = world.send("second", needs_reader=False)
    waiter, result = in_thread(lambda: world.reader.wait(call))
    while not call.needs_reader:
        time.sleep(0)
    assert world.reader.failure is not None
    world.is_deaf = False
    world.answer("second")
    waiter.join(SAFETY_S)
    assert (result, world.readers[-1], world.reader.failure) == ([True], "caas-reader", None)


def test_outcome_before_the_deadline_or_none(world: World) -> None:
    """A caller whose answer does not come is told so at its deadline."""
    call = world.send("silent", needs_reader=False, left_s=0.01)
    assert not world.reader.wait(call)
    world.flights.clear()


def test_many_threads_are_all_served(world: World) -> None:
    """Whoever reads at a time, no answer is left unread."""

    def caller(number: int) -> bool:
        return all(world.ask(f"{number}/{turn}") for turn in range(50))

    threads = [in_thread(lambda number=number: caller(number)) for number in range(8)]
    for thread, _ in threads:
        thread.join(SAFETY_S)
    assert [results for _, results in threads] == [[True]] * 8
