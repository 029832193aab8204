"""The dispatcher: callers' requests of one operation go out together in one sealed message.

No linger: a lone caller's request leaves at once, in the caller's own thread. While messages are
in flight the next requests gather, up to a message's bounds. A message without a reply is sent
again under its id until its callers' deadlines: operations are pure, so a second run is harmless,
and the first answer wins. One dispatcher serves threads and asyncio tasks alike, and one lane:
nothing that a quick call needs, a lock, a connection or a reader, is ever in a slow one's hands.

Two daemon threads work for it: `caas-reader` takes the replies that no caller takes by itself, see
`reading.py`; `caas-pump` sends again what is overdue and sends for asyncio callers, who must not
block their loop. Both start with the first call.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Final

from caas_tasks.envelope import NONCE_BYTES, ServicePublicKey, seal_request
from caas_tasks.errors import (
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
    UnreadableMessageError,
)
from caas_tasks.message_id import new_message_id
from caas_tasks.names import Lane
from producer_client.calls import Call, ThreadCall, wake
from producer_client.flights import Flight, payload
from producer_client.lanes import lane_queue
from producer_client.reading import POLL_S, Reader
from producer_client.sessions import SessionSource
from producer_client.tracing import CallTracer
from producer_client.transport import MAX_SEND_S, IncomingReply, OutgoingMessage, Transport

TICK_S: Final = 0.05
"""How often the pump looks for overdue messages while some are in flight."""

RESTING_TICKS: Final = 40
"""Ticks without anything to do after which the pump rests: waking it would cost each lone call."""


class Dispatcher:
    """Sends calls and brings their answers. Thread-safe and fork-safe.

    Args:
        transport: where messages go; the dispatcher owns it.
        server_key: what sessions are sealed to.
        lane: whose calls it takes.
        tracer: makes a span of each call; None for no traces.
    """

    def __init__(
        self,
        transport: Transport,
        server_key: ServicePublicKey,
        lane: Lane,
        tracer: CallTracer | None = None,
    ) -> None:
        self._transport = transport
        self._lane = lane
        self._tracer = tracer
        self._server_key = server_key
        self._closed = False
        self._reset()
        _DISPATCHERS.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._send_lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._stopped = threading.Event()
        self._work = threading.Event()  # wakes the pump
        self._pump_rests = False
        self._queue = lane_queue(self._lane)
        self._reader = Reader(self._transport, self._take, self._has_flights)
        self._sessions = SessionSource(self._server_key, time.monotonic, os.urandom)
        # What sending last failed with; None since it last worked.
        self._send_failure: ServiceUnavailableError | None = None
        self._threads: list[threading.Thread] = []

    def reset_after_fork(self) -> None:
        """In a forked child: fresh locks, threads, session and inbox; calls stay the parent's."""
        self._transport.reset_after_fork()
        self._reset()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        return not (self._queue.flights or self._queue.waiting)

    def _has_flights(self) -> bool:
        return bool(self._queue.flights)

    def submit(self, call: Call, *, may_block: bool) -> bool:
        """Queue a call and, when `may_block`, send it from this thread if nothing is in the way.

        Returns:
            False when there is no room and `may_block` is False: try again later.

        Raises:
            ServiceUnavailableError: the dispatcher is closed.
            RequestTimeoutError: no room came before the deadline.
        """
        waiting = self._queue.waiting
        if self._tracer is not None:
            self._tracer.begin(call)
        with self._lock:
            while not self._closed and not waiting.has_room(call):
                left_s = call.deadline - time.monotonic()
                if not may_block:
                    return False
                if left_s <= 0 or not self._room.wait(left_s):
                    raise self._refused(call, self.late())
            if self._closed:
                raise self._refused(call, ServiceUnavailableError("The client is closed."))
            if not self._threads:
                self._start_threads()
            waiting.add(call)
        # From this thread only when its deadline leaves time for a broker that does not answer.
        can_wait = may_block and call.deadline - time.monotonic() > MAX_SEND_S
        if can_wait and self._send_failure is None:
            self._send_ready()
        elif not self._work.is_set():  # looking costs a tenth of setting
            self._work.set()
        return True

    def ask(self, call: ThreadCall) -> bool:
        """Submit a thread's call and wait; whether the outcome came before its deadline.

        Raises:
            ServiceUnavailableError, RequestTimeoutError: as `submit`.
        """
        call.needs_reader = False
        self.submit(call, may_block=True)
        return self._reader.wait(call)

    def give_up(self, call: Call) -> ServiceError | None:
        """Stop waiting for a call; the error to raise, or None when its answer has just come."""
        with self._lock:
            if call.outcome is not None:
                return None
            if call.flight is None:
                self._queue.waiting.remove(call)
                self._room.notify_all()
            else:
                self._leave_flight(call, call.flight)
            return self._refused(call, self.late())

    def _refused(self, call: Call, error: ServiceError) -> ServiceError:
        if self._tracer is not None:
            self._tracer.end([call], error)
        return error

    def late(self) -> ServiceError:
        """What a call fails with whose deadline has passed."""
        obstacle = self._send_failure or self._reader.failure
        return RequestTimeoutError() if obstacle is None else ServiceUnavailableError(str(obstacle))

    def _leave_flight(self, call: Call, flight: Flight) -> None:
        flight.calls.discard(call)
        if not flight.calls:
            self._queue.flights.pop(flight.message.message_id, None)

    def end(self) -> None:
        """Take no more calls; those that wait fail with ServiceUnavailableError, at once."""
        with self._lock:
            self._closed = True
            calls = self._queue.clear()
            error = ServiceUnavailableError("The client is closed.")
            for call in calls:
                call.outcome = error
            self._room.notify_all()
        if self._tracer is not None:
            self._tracer.end(calls)
        wake(calls)

    def close(self) -> None:
        """End, and wait for the threads and close connections. May be called twice."""
        self.end()
        threads = list(self._threads)
        for event in (self._stopped, self._work):
            event.set()
        self._reader.stop()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout=2 * POLL_S)
        self._reader.join()
        with self._send_lock:
            self._transport.close()

    def _send_ready(self) -> None:
        # Whoever holds the send lock also sends what others queue meanwhile: each of those queued
        # before failing to take the lock, and the holder looks again after giving it back.
        while self._is_ready() and self._send_lock.acquire(blocking=False):
            try:
                while (flight := self._next_flight()) is not None:
                    self._send(flight)
            finally:
                self._send_lock.release()

    def _is_ready(self) -> bool:
        return not self._closed and self._queue.may_send(time.monotonic())

    def _next_flight(self) -> Flight | None:
        """Seal the next message, if one may leave now. Runs under the send lock."""
        if not self._is_ready():
            return None
        with self._lock:
            if not self._queue.waiting:
                return None
            calls = self._queue.take()
            self._room.notify_all()
            flight = self._seal(calls)
            self._queue.flights[flight.message.message_id] = flight
            return flight

    def _seal(self, calls: list[Call]) -> Flight:
        operation = calls[0].operation
        now_ms = time.time_ns() // 1_000_000
        message_id = new_message_id(now_ms, os.urandom)
        session = self._sessions.current()
        left_s = max(0.0, max(call.deadline for call in calls) - time.monotonic())
        sealed = seal_request(
            session,
            operation.task_name,
            message_id,
            now_ms + int(self._queue.lifetime_s(left_s) * 1_000),
            payload(calls),
            os.urandom(NONCE_BYTES),
        )
        message = OutgoingMessage(operation, operation.lane, message_id, sealed)
        if self._tracer is not None:
            self._tracer.sent(message_id, calls)
        return Flight(message, session, calls, self._queue.first_resend_s(left_s))

    def _send(self, flight: Flight) -> None:
        now = time.monotonic()
        # Noted before the message leaves: its reply may come before `send` returns.
        flight.mark_sent(now)
        self._reader.expect(flight)
        if self._pump_rests:
            self._work.set()
        try:
            self._transport.send(flight.message)
        except ServiceUnavailableError as error:
            self._send_failure = error
            flight.mark_unsent(now)
            self._work.set()
        else:
            self._send_failure = None

    def _pump(self) -> None:
        idle_ticks = 0
        while not self._stopped.is_set():
            # Said first, looked second: a sender who comes between is seen here or sees it.
            self._pump_rests = idle_ticks >= RESTING_TICKS
            if not self.is_idle:
                self._pump_rests, idle_ticks = False, 0
            self._work.wait(None if self._pump_rests else TICK_S)
            self._pump_rests = False
            self._work.clear()
            idle_ticks += 1
            self._send_overdue()
            # Afterwards: a caller who met the lock above taken has left its call to this thread.
            self._send_ready()

    def _send_overdue(self) -> None:
        # Not in `_pump`, whose frame would keep the last message's plaintext while it rests.
        with self._send_lock:
            for flight in self._overdue():
                self._send(flight)

    def _overdue(self) -> list[Flight]:
        with self._lock:
            return self._queue.overdue(time.monotonic())

    def _take(self, replies: Iterable[IncomingReply]) -> None:
        for reply in replies:
            flight = self._queue.flights.get(reply.message_id)
            if flight is None:
                continue  # a second answer, or nobody waits any more
            try:
                body = flight.read(reply.sealed)
            except UnreadableMessageError:
                continue  # forged or damaged: the caller gets a timeout, never a wrong answer
            with self._lock:
                if self._queue.flights.pop(reply.message_id, None) is None:
                    continue
                self._queue.answered(flight, time.monotonic())
                calls = flight.deliver(body)
            if self._tracer is not None:
                self._tracer.end(calls)
            wake(calls)
        self._send_ready()

    def _start_threads(self) -> None:
        for name, target in (("caas-reader", self._reader.run), ("caas-pump", self._pump)):
            thread = threading.Thread(target=target, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()


_DISPATCHERS: Final[weakref.WeakSet[Dispatcher]] = weakref.WeakSet()


def _after_fork() -> None:
    for dispatcher in list(_DISPATCHERS):
        dispatcher.reset_after_fork()


_register: Callable[..., None] = os.register_at_fork
_register(after_in_child=_after_fork)
