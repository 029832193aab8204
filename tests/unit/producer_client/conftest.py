"""A transport that does what a test says, when it says so, and calls to put through it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from caas_tasks.envelope import ServicePublicKey, seal_reply, split_request
from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.names import Lane, Operation
from producer_client import dispatcher as dispatcher_module
from producer_client import lanes
from producer_client.calls import ThreadCall
from producer_client.dispatcher import Dispatcher
from producer_client.testing import InMemoryService
from producer_client.transport import IncomingReply, OutgoingMessage

SAFETY_S = 30.0
"""How long to wait for what must happen; reached only when it does not."""


class ScriptedTransport:
    """Keeps what is sent; a test answers, fails or stays silent."""

    jobs: Any = None

    def __init__(self, service: InMemoryService) -> None:
        self._service = service
        self._changed = threading.Condition()
        self._replies: queue.SimpleQueue[IncomingReply | None] = queue.SimpleQueue()
        self._looks = 0
        self.sent: list[OutgoingMessage] = []
        self.senders: list[int] = []
        self.attempts = 0
        self.is_down = False
        self.is_deaf = False
        self.closed = 0
        self.resets = 0

    # What the dispatcher and the client call.

    def twin(self) -> ScriptedTransport:
        return ScriptedTransport(self._service)

    def send(self, message: OutgoingMessage) -> None:
        with self._changed:
            self.attempts += 1
            if not self.is_down:
                self.sent.append(message)
                self.senders.append(threading.get_ident())
            self._changed.notify_all()
        if self.is_down:
            raise ServiceUnavailableError

    def receive(self, timeout_s: float) -> list[IncomingReply]:
        with self._changed:
            self._looks += 1
            self._changed.notify_all()
        if self.is_deaf:
            raise ServiceUnavailableError
        try:
            reply = self._replies.get(timeout=timeout_s)
        except queue.Empty:
            return []
        return [] if reply is None else [reply]

    def interrupt(self) -> None:
        self._replies.put(None)

    def close(self) -> None:
        self.closed += 1

    def reset_after_fork(self) -> None:
        self.resets += 1

    # What a test calls.

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something that sending or receiving changes is so."""
        with self._changed:
            assert self._changed.wait_for(condition, SAFETY_S)

    def wait_for_sent(self, count: int) -> None:
        self.wait_for(lambda: len(self.sent) >= count)

    def answer(self, message: OutgoingMessage) -> None:
        """Reply as a worker does."""
        reply = self._service.take(message)
        assert reply is not None
        self._replies.put(reply)

    def reply(self, message_id: str, sealed: str) -> None:
        """Reply with any text."""
        self._replies.put(IncomingReply(message_id, sealed))

    def reply_body(self, message: OutgoingMessage, body: bytes) -> None:
        """Reply authentically with any body."""
        request = split_request(message.sealed)
        keys = self._service._keyring.session(request.key_id, request.wrapped)
        sealed = seal_reply(keys, message.operation.task_name, message.message_id, body, bytes(12))
        self.reply(message.message_id, sealed)

    def payload(self, message: OutgoingMessage) -> bytes:
        """What a worker reads in a message."""
        request = split_request(message.sealed)
        keys = self._service._keyring.session(request.key_id, request.wrapped)
        return request.open(keys, message.operation.task_name, message.message_id)

    def wait_until_read(self) -> None:
        """Wait until the reader has taken every reply so far, and comes back for more."""
        looks = self._looks
        self._replies.put(None)
        self.wait_for(lambda: self._looks > looks and self._replies.empty())
        looks = self._looks
        self._replies.put(None)
        self.wait_for(lambda: self._looks > looks)


class Rig:
    """A dispatcher over a scripted transport, under a clock that only the test moves."""

    user_uuid = "4dbcbcfe-4800-40a8-badf-c26b73af230c"

    def __init__(self, service: InMemoryService, transport: ScriptedTransport, clock: Any) -> None:
        self.service = service
        self.transport = transport
        self.clock = clock
        self.dispatcher = Dispatcher(
            transport, ServicePublicKey.from_text(service.server_key), Lane.FAST
        )

    def call(
        self,
        data: str = "some data",
        *,
        items: int = 1,
        timeout_s: float = 60.0,
        operation: Operation = Operation.ENCRYPT,
        api_key: str | None = None,
    ) -> ThreadCall:
        """A call that a thread waits for."""
        item = {"userUUID": self.user_uuid, "sensitiveData": data}
        deadline = self.clock.monotonic() + timeout_s
        return ThreadCall(operation, api_key or self.service.api_key, [item] * items, deadline)

    def submit(self, data: str = "some data", **options: Any) -> ThreadCall:
        """Submit a call from this thread."""
        call = self.call(data, **options)
        assert self.dispatcher.submit(call, may_block=True)
        return call

    def fill(self) -> list[ThreadCall]:
        """As many messages in flight as may be."""
        calls = [self.submit(f"filler {n}") for n in range(lanes.MAX_IN_FLIGHT)]
        self.transport.wait_for_sent(len(calls))
        return calls

    def is_empty(self) -> bool:
        """Whether the dispatcher holds nothing."""
        return self.dispatcher.is_idle


@pytest.fixture(scope="session")
def service() -> InMemoryService:
    return InMemoryService()


@pytest.fixture
def transport(service: InMemoryService) -> ScriptedTransport:
    return ScriptedTransport(service)


@pytest.fixture
def rig(
    service: InMemoryService,
    transport: ScriptedTransport,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Rig]:
    """A dispatcher whose time stands still until the test moves `clock`."""
    import time

    still = SimpleNamespace(monotonic=clock.monotonic, time_ns=time.time_ns)
    monkeypatch.setattr(dispatcher_module, "time", still)
    made = Rig(service, transport, clock)
    yield made
    made.dispatcher.close()
