"""Who reads the replies: the thread that waits for one, or else the reader thread; never both.

To be woken by another thread costs a lone call a tenth of its time. So a thread that waits for its
own call reads by itself while nobody else does and its deadline is far; it delivers whatever comes,
its own answer and others'. Everyone else's replies are read by the daemon thread `caas-reader`,
which rests when none is expected.

No reply is left unread: whoever waits without reading says so (`Call.needs_reader`) before it wakes
the reader thread, and a sender who sees that wakes it again after its message is noted as in
flight. The thread looks at what is in flight after it has said that it rests.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from caas_tasks.errors import ServiceUnavailableError
from producer_client.calls import ThreadCall
from producer_client.flights import Flight
from producer_client.transport import MAX_SEND_S, IncomingReply, Transport

POLL_S: Final = 1.0
"""How long the reader thread waits in one round trip."""

OWN_POLL_S: Final = 0.5
"""How long a caller who reads by itself waits in one round trip."""

OWN_READ_S: Final = OWN_POLL_S + MAX_SEND_S
"""A caller reads by itself only while its deadline is further away: a round trip to a broker that
does not answer must end before."""

_BACKOFF_S: Final = (0.02, 0.05, 0.1, 0.2, 0.5)


class Reader:
    """Reads replies and hands them on.

    Args:
        take: what is done with replies.
        expects: whether a message is in flight.

    Attributes:
        failure: what receiving last failed with; None since it last worked.
    """

    def __init__(
        self,
        transport: Transport,
        take: Callable[[list[IncomingReply]], None],
        expects: Callable[[], bool],
    ) -> None:
        self._transport = transport
        self._take = take
        self._expects = expects
        self._turn = threading.Lock()  # held by who reads
        self._expecting = threading.Event()  # wakes the reader thread
        self._stopped = threading.Event()
        self._is_connected = False
        self._reads_on = False  # the callers of the last message leave reading to the thread
        self.failure: ServiceUnavailableError | None = None

    def expect(self, flight: Flight) -> None:
        """Have the reply to a message read that is on its way, unless its callers read."""
        self._reads_on = any(call.needs_reader for call in flight.order)
        if self._reads_on and not self._expecting.is_set():
            self._expecting.set()

    def wait(self, call: ThreadCall) -> bool:
        """Whether the outcome came before the deadline; reads in this thread if nobody else does.

        Args:
            call: submitted with `needs_reader` off.
        """
        while call.outcome is None:
            is_far = call.deadline - time.monotonic() > OWN_READ_S
            # The first connection, and one after a failure, is the reader thread's to make.
            if not (is_far and self._is_connected and self._turn.acquire(blocking=False)):
                return self._wait_for_reader(call)
            try:
                if call.outcome is None:
                    self._receive(OWN_POLL_S)
            finally:
                self._turn.release()
        return True

    def _wait_for_reader(self, call: ThreadCall) -> bool:
        call.needs_reader = True
        self._expecting.set()
        return call.wait(call.deadline - time.monotonic())

    def run(self) -> None:
        """The reader thread's work, until `stop`."""
        failures = 0
        came = False
        while not self._stopped.is_set():
            # For callers who leave it to read it reads on for one round trip: they may soon ask
            # again, and waking it would cost each lone one. From others' way it goes at once.
            if not self._expects() and not (came and self._reads_on):
                self._expecting.clear()
                if not self._expects() and not self._stopped.is_set():
                    self._expecting.wait()
                    continue  # `stop` wakes it too
            with self._turn:
                if self._stopped.is_set():
                    return
                came = self._receive(POLL_S)
            if self.failure is None:
                failures = 0
            else:
                self._stopped.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1

    def _receive(self, timeout_s: float) -> bool:
        """Whether replies came."""
        try:
            replies = self._transport.receive(timeout_s)
        except ServiceUnavailableError as error:
            self.failure, self._is_connected = error, False
            return False
        self.failure, self._is_connected = None, True
        if replies:
            self._take(replies)
        return bool(replies)

    def stop(self) -> None:
        """Have the reader thread end; whoever reads now may do so for one more round trip."""
        self._stopped.set()
        self._expecting.set()
        self._transport.interrupt()

    def join(self) -> None:
        """Wait until nobody reads any more."""
        with self._turn:
            pass
