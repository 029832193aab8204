"""One transport over several brokers: it spreads messages, and goes on when a broker is away.

Each broker has an inbox of its own and a thread that reads it. A message goes to the next broker in
turn of those that are well. A broker is left out for a while, longer each time, when a message
could not be sent to it, and when one had to be sent again: the second try goes to another broker,
so that a broker that takes messages and has no workers costs a call one wait. A reply puts a
broker back. Jobs are looked for wherever they may be: see `producer_client.sharded_jobs`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.settings import read_brokers
from producer_client.redis_transport import RedisTransport
from producer_client.sharded_jobs import ShardedJobStore
from producer_client.transport import IncomingReply, JobStore, OutgoingMessage, Transport

FIRST_REST_S: Final = 1.0
MAX_REST_S: Final = 15.0
"""How long a broker is left out, at first and at most, in seconds: then one message tries it."""

REMEMBERED: Final = 4_096
"""Messages whose broker is remembered, so that they are sent again by another."""

POLL_S: Final = 1.0
_PAUSE_S: Final = 0.5


def open_transport(broker_urls: str) -> Transport:
    """The transport for one broker or several; it connects when first used.

    Raises:
        ConfigurationError: an address, or a setting of its security, is wrong.
    """
    transports = [RedisTransport(broker) for broker in read_brokers(broker_urls)]
    return transports[0] if len(transports) == 1 else ShardedTransport(transports, time.monotonic)


class Shard:
    """One broker, with what is known of how it is.

    Args:
        monotonic: seconds that never go back.

    Attributes:
        is_reachable: the last that was heard of its connection.
    """

    def __init__(self, transport: Transport, monotonic: Callable[[], float]) -> None:
        self.transport = transport
        self._monotonic = monotonic
        self._failures = 0
        self._rests_until = float("-inf")
        self.is_reachable = True

    @property
    def rests(self) -> bool:
        """Whether it is left out now."""
        return self._monotonic() < self._rests_until

    @property
    def rests_until(self) -> float:
        """When it is tried again."""
        return self._rests_until

    def failed(self) -> None:
        """Leave it out for a while, unless it is left out already."""
        if self.rests:
            return
        rest_s = min(MAX_REST_S, FIRST_REST_S * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._rests_until = self._monotonic() + rest_s

    def answered(self) -> None:
        """It is well."""
        self._failures = 0
        self._rests_until = float("-inf")


class ShardedTransport:
    """Carries messages and replies over several brokers.

    Args:
        transports: one a broker.
        monotonic: seconds that never go back.
    """

    jobs: JobStore

    def __init__(self, transports: Sequence[Transport], monotonic: Callable[[], float]) -> None:
        self._shards = [Shard(transport, monotonic) for transport in transports]
        self._monotonic = monotonic
        self._reset()

    def twin(self) -> ShardedTransport:
        """Another over the same brokers, with inboxes, connections and threads of its own."""
        twins = [shard.transport.twin() for shard in self._shards]
        return ShardedTransport(twins, self._monotonic)

    def _reset(self) -> None:
        self.jobs = ShardedJobStore([shard.transport.jobs for shard in self._shards])
        self._replies: queue.SimpleQueue[list[IncomingReply]] = queue.SimpleQueue()
        self._sent_by: OrderedDict[str, int] = OrderedDict()
        self._turn = 0
        self._closed = threading.Event()
        self._wanted = threading.Event()  # readers rest while nobody receives
        self._readers: list[threading.Thread] = []
        self._failure: ServiceUnavailableError | None = None

    def send(self, message: OutgoingMessage) -> None:
        """Put a message on its lane of a broker that is well, another one than the last time.

        Raises:
            ServiceUnavailableError: that broker can't be reached; the message may be sent again.
        """
        last = self._sent_by.pop(message.message_id, None)
        if last is not None:
            # Sent, and not answered in time: its workers may be gone.
            self._shards[last].failed()
        index = self._next(last)
        self._sent_by[message.message_id] = index
        if len(self._sent_by) > REMEMBERED:
            self._sent_by.popitem(last=False)
        try:
            self._shards[index].transport.send(message)
        except ServiceUnavailableError:
            self._shards[index].is_reachable = False
            self._shards[index].failed()
            raise

    def _next(self, last: int | None) -> int:
        """The next shard in turn that is well; when none is, the one that is tried again first."""
        count = len(self._shards)
        self._turn = (self._turn + 1) % count
        in_turn = [(self._turn + step) % count for step in range(count)]
        others = [index for index in in_turn if index != last]
        for index in others:
            if not self._shards[index].rests:
                return index
        return min(others, key=lambda index: self._shards[index].rests_until)

    def receive(self, timeout_s: float) -> list[IncomingReply]:
        """Replies that have come by any broker.

        Raises:
            ServiceUnavailableError: no broker can be reached.
        """
        if not self._readers:
            self._start_readers()
        self._wanted.set()
        try:
            replies = self._replies.get(timeout=timeout_s)
        except queue.Empty:
            replies = []
        self._wanted.clear()
        if not replies and not any(shard.is_reachable for shard in self._shards):
            failure = self._failure
            raise ServiceUnavailableError(None if failure is None else str(failure))
        return replies

    def _start_readers(self) -> None:
        for index, shard in enumerate(self._shards):
            name = f"caas-reader-{index}"
            # What belongs to this process: after a fork the child has others.
            arguments = (shard, self._replies, self._closed, self._wanted)
            thread = threading.Thread(target=self._read, args=arguments, name=name, daemon=True)
            self._readers.append(thread)
            thread.start()

    def _read(
        self,
        shard: Shard,
        replies: queue.SimpleQueue[list[IncomingReply]],
        closed: threading.Event,
        wanted: threading.Event,
    ) -> None:
        while not closed.is_set():
            wanted.wait()
            try:
                found = shard.transport.receive(POLL_S)
            except ServiceUnavailableError as error:
                self._failure = error
                shard.is_reachable = False
                shard.failed()
                closed.wait(_PAUSE_S)
                continue
            shard.is_reachable = True
            if found:
                shard.answered()
                replies.put(found)

    def interrupt(self) -> None:
        """End a `receive` under way in another thread."""
        self._closed.set()
        self._wanted.set()
        for shard in self._shards:
            shard.transport.interrupt()
        self._replies.put([])

    def close(self) -> None:
        """Close connections. Nobody sends or receives any more."""
        self.interrupt()
        for thread in self._readers:
            thread.join(timeout=2 * POLL_S)
        for shard in self._shards:
            shard.transport.close()

    def reset_after_fork(self) -> None:
        """In a forked child: forget the parent's connections, take new inboxes."""
        for shard in self._shards:
            shard.transport.reset_after_fork()
        self._reset()
