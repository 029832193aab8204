"""Record the journey of one password through a real service, and draw it.

    python examples/journey/record.py docs/images/journey.svg

Starts `caas up` in a folder of its own, watches the broker with MONITOR while one password is
hashed and verified, and stops everything. What the picture shows was seen in that run; it is
shortened, and nothing of it is made up.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from drawing import draw

from caas_cli import client_env
from caas_tasks.names import Lane, Operation
from caas_tasks.redis_url import parse_broker_url
from producer_client import Client, inspect

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
PASSWORD = "correct horse battery"  # noqa: S105 - the example's, and shown in the picture
READY = "Ctrl-C stops everything"
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Journey:
    """What was seen.

    Attributes:
        request: the message in the queue, as JSON text.
        sealed_request: its one argument.
        reply: the reply in the client's inbox.
        stored: the string that the main server keeps.
        algorithm: what made it, as anyone can see.
        hash_ms, right_ms, wrong_ms: how long the main server waited, in milliseconds.
        right, wrong: what verifying answered.
    """

    user: str
    password: str
    task: str
    request: str
    sealed_request: str
    reply: str
    stored: str
    algorithm: str
    key_version: int
    hash_ms: float
    right: bool
    right_ms: float
    wrong: bool
    wrong_ms: float


@contextmanager
def service(home: Path) -> Iterator[dict[str, str]]:
    """`caas up` in a folder; the settings of a client, once it answers."""
    environment = {name: value for name, value in os.environ.items() if name[:5] != "CAAS_"}
    process = subprocess.Popen(
        [sys.executable, "-m", "caas_cli", "up", "--port", "0"],
        env={**environment, "CAAS_HOME": str(home), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout or ():
            if READY in line:
                break
        else:
            raise SystemExit("caas up did not start")
        drain = threading.Thread(target=lambda: list(process.stdout or ()), daemon=True)
        drain.start()
        yield client_env.read(home / "client.env")
    finally:
        process.terminate()
        process.wait()


class Monitor:
    """All commands that the broker gets, with MONITOR."""

    def __init__(self, broker: redis.Redis) -> None:
        self._broker = broker
        self._seen: list[list[bytes]] = []
        self._changed = threading.Condition()
        self._is_on = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
        self._is_on.wait(TIMEOUT_S)

    def _watch(self) -> None:
        connection: Any = self._broker.connection_pool.get_connection()
        connection.send_command("MONITOR")
        connection.read_response()
        self._is_on.set()
        with contextlib.suppress(redis.ConnectionError):  # the broker ends before this thread
            while True:
                line = connection.read_response(timeout=TIMEOUT_S)
                with self._changed:
                    self._seen.append(line.split(b" ", 3))
                    self._changed.notify_all()

    def find(self, command: bytes, key: bytes) -> bytes:
        """The value that was pushed to a key whose name begins so."""
        with self._changed:
            while True:
                for parts in self._seen:
                    words = _words(parts[-1])
                    if words[0].upper() == command and words[1].startswith(key):
                        return words[2]
                if not self._changed.wait(TIMEOUT_S):
                    raise SystemExit(f"no {command.decode()} of {key.decode()} was seen")


def _words(text: bytes) -> list[bytes]:
    """The quoted words of a line of MONITOR."""
    pieces = text.removeprefix(b'"').removesuffix(b'"').split(b'" "')
    found = [piece.decode("unicode_escape").encode("latin-1") for piece in pieces]
    return [*found, b"", b"", b""]


def connect(url: str) -> redis.Redis:
    """A connection to the broker itself."""
    broker = parse_broker_url(url)
    login: dict[str, Any] = {
        "username": broker.username,
        "password": broker.password,
        "db": broker.database,
    }
    if broker.socket_path is not None:
        return redis.Redis(unix_socket_path=broker.socket_path, **login)
    host, port = broker.address or ("127.0.0.1", 6379)
    return redis.Redis(host=host, port=port, **login)


def record(settings: dict[str, str]) -> Journey:
    """Hash a password, verify it and a wrong one, and watch."""
    url = settings[client_env.BROKER_URL]
    with Client(
        broker_url=url,
        api_key=settings[client_env.API_KEY],
        server_key=settings[client_env.SERVER_KEY],
        timeout_s=TIMEOUT_S,
    ) as client:
        client.hash_password(USER, "warming up")  # until a worker is there and connected
        monitor = Monitor(connect(url))
        stored, hash_ms = _timed(lambda: client.hash_password(USER, PASSWORD))
        message = json.loads(monitor.find(b"LPUSH", Lane.PASSWORD.value.encode()))
        reply = monitor.find(b"RPUSH", b"caas:reply:").decode()
        right, right_ms = _timed(lambda: client.verify_password(USER, PASSWORD, stored))
        wrong, wrong_ms = _timed(lambda: client.verify_password(USER, "a wrong guess", stored))
    found = inspect(stored)
    return Journey(
        user=USER,
        password=PASSWORD,
        task=Operation.HASH_PASSWORD.task_name,
        request=json.dumps(message),
        sealed_request=_argument(message),
        reply=reply,
        stored=stored,
        algorithm=found.algorithm,
        key_version=found.key_version,
        hash_ms=hash_ms,
        right=right.valid,
        right_ms=right_ms,
        wrong=wrong.valid,
        wrong_ms=wrong_ms,
    )


def _timed(call: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    answer = call()
    return answer, (time.perf_counter() - started) * 1_000


def _argument(message: dict[str, Any]) -> str:
    """The one argument of a Celery message, whose body is JSON within JSON."""
    body = message["body"]
    if message["properties"].get("body_encoding") == "base64":
        body = base64.b64decode(body)
    arguments, _options, _links = json.loads(body)
    return str(arguments[0])


def main() -> None:
    """Record, check that the password is nowhere in what was seen, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as settings:
        journey = record(settings)
    if PASSWORD in journey.request + journey.reply + journey.stored:
        raise SystemExit("the password stands where nothing of it may be")
    options.picture.write_text(draw(journey), encoding="utf-8")
    sys.stdout.write(f"{options.picture}: {options.picture.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
