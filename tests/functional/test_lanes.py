"""The two lanes of one client: neither holds the other up, and both end with it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.names import Lane
from producer_client.testing import InMemoryService
from producer_client.transport import IncomingReply, OutgoingMessage

USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
SAFETY_S = 60.0


@pytest.fixture
def taken(service: InMemoryService, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released for each message that leaves; none is answered."""
    messages = threading.Semaphore(0)

    def take(_message: OutgoingMessage) -> None:
        messages.release()

    monkeypatch.setattr(service, "take", take)
    return messages


def test_password_that_is_stuck_holds_no_quick_call_up(
    service: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one whose message can't leave: the two lanes share no lock and no connection."""
    take = service.take
    is_stuck, let_go = threading.Event(), threading.Event()

    def slow(message: OutgoingMessage) -> IncomingReply | None:
        if message.lane is Lane.PASSWORD:
            is_stuck.set()
            assert let_go.wait(SAFETY_S)
        return take(message)

    monkeypatch.setattr(service, "take", slow)
    with service.client(timeout_s=SAFETY_S) as client, ThreadPoolExecutor(1) as pool:
        password = pool.submit(client.hash_password, USER_UUID, "correct horse")
        try:
            assert is_stuck.wait(SAFETY_S)
            client.encrypt(USER_UUID, "data 1")
            assert not password.done()
        finally:
            let_go.set()
        assert password.result()


def test_close_ends_the_calls_of_both_lanes(
    service: InMemoryService, taken: threading.Semaphore
) -> None:
    """Whatever becomes of the one that is closed first."""

    def fail() -> None:
        raise OSError("no such connection")

    client = service.client(timeout_s=SAFETY_S)
    with ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(client.encrypt, USER_UUID, "data"),
            pool.submit(client.hash_password, USER_UUID, "correct horse"),
        ]
        dispatchers = client._dispatchers.values()
        for _ in calls:
            assert taken.acquire(timeout=SAFETY_S)
        client._dispatchers[Lane.PASSWORD]._transport.close = fail  # type: ignore[method-assign]
        client._dispatchers[Lane.FAST]._transport.close = fail  # type: ignore[method-assign]
        with pytest.raises(OSError, match="no such connection"):
            client.close()
        for call in calls:
            with pytest.raises(ServiceUnavailableError):
                call.result(SAFETY_S)
    assert all(each.is_idle for each in dispatchers)
    for operation in (client.encrypt, client.hash_password):
        with pytest.raises(ServiceUnavailableError):
            operation(USER_UUID, "after the end")


def test_close_that_is_cancelled_closes_both_lanes(
    service: InMemoryService, taken: threading.Semaphore
) -> None:
    """What has begun in its thread goes on to the end."""

    async def main() -> None:
        client = service.async_client(timeout_s=SAFETY_S)
        password = asyncio.create_task(client.hash_password(USER_UUID, "correct horse"))
        assert await asyncio.to_thread(taken.acquire, timeout=SAFETY_S)
        begun, close = threading.Event(), client._close_lanes

        def noted() -> None:
            begun.set()
            close()

        client._close_lanes = noted  # type: ignore[method-assign]
        closing = asyncio.create_task(client.close())
        assert await asyncio.to_thread(begun.wait, SAFETY_S)
        closing.cancel()
        with pytest.raises(ServiceUnavailableError):
            await password

    asyncio.run(main())
