"""Messages that no client of ours would send, put straight on the queue.

The worker answers `unreadable` or nothing, writes none of their content down and serves on: each
test ends with a call that must be answered by the same process.
"""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from kombu import Connection
from rig.process import DEADLINE_S
from rig.stack import Stack

from caas_tasks.encoding import encode_json
from caas_tasks.envelope import ClientSession, ServicePublicKey, open_reply, seal_request
from caas_tasks.names import Lane, Operation
from caas_tasks.reply_backend import INBOX_PREFIX
from caas_tasks.task_message import task_headers, task_properties

pytestmark = pytest.mark.integration

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
TASK = Operation.ENCRYPT.task_name
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


class Attacker:
    """Publishes what it likes and reads the replies, as anyone who reaches the broker can."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.redis = stack.broker.connect()
        self.inbox = uuid.uuid4().hex
        server_key = ServicePublicKey.from_text(stack.keystore.server_key)
        self.session = ClientSession.start(server_key, secrets.token_bytes(32))
        self.marker = f"canary{secrets.token_hex(12)}"

    def sealed(self, message_id: str, *, task: str = TASK, expiry_in_s: float = 60.0) -> str:
        """A request that the worker opens, when it comes under the same id and task."""
        item = {"userUUID": USER, "sensitiveData": self.marker}
        payload = encode_json({"apiKey": self.stack.keystore.api_key, "items": [item]})
        expiry_ms = int((time.time() + expiry_in_s) * 1_000)
        nonce = secrets.token_bytes(12)
        return seal_request(self.session, task, message_id, expiry_ms, payload, nonce)

    def publish(
        self,
        args: object,
        *,
        message_id: str | None = None,
        task: str = TASK,
        kwargs: object = None,
        embed: object = None,
        headers: dict[str, Any] | None = None,
        body: bytes | str | None = None,
        content_type: str = "application/json",
    ) -> str:
        """Put a message on the fast lane; its id."""
        message_id = message_id or str(uuid.uuid4())
        whole = json.dumps([args, kwargs or {}, embed or EMBED]) if body is None else body
        broker = self.stack.broker.url
        with Connection(broker) as connection, connection.channel() as channel:
            message = channel.prepare_message(
                whole,
                content_type=content_type,
                content_encoding="utf-8",
                headers={**task_headers(task, message_id), **(headers or {})},
                properties=task_properties(message_id, self.inbox),
            )
            channel.basic_publish(message, exchange="", routing_key=Lane.FAST.value)
        return message_id

    def reply(self) -> str:
        """The next reply in the attacker's inbox, without the id before it."""
        taken = self.redis.blpop([INBOX_PREFIX + self.inbox], timeout=DEADLINE_S)
        return taken[1].decode().partition(":")[2] if taken else "nothing"

    def serves_on(self) -> tuple[bool, bool, bool]:
        """Whether the same worker answers rightly, still runs, and wrote nothing of the content."""
        stack = self.stack
        value = stack.client().encrypt(USER, "after", timeout_s=DEADLINE_S).encrypted_data
        is_right = value == stack.keystore.expected_encrypted([(USER, "after")])[0]
        return is_right, stack.workers[0].is_running, self.marker not in stack.workers[0].log


SERVES_ON = (True, True, True)


@pytest.fixture(scope="module")
def hostile_stack(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Stack(tmp_path_factory.mktemp("hostile")) as stack:
        stack.start_worker()
        stack.wait_until_ready()
        yield stack


@pytest.fixture
def attacker(hostile_stack: Stack) -> Any:
    made = Attacker(hostile_stack)
    yield made
    made.redis.close()


ARGUMENTS: dict[str, Callable[[Attacker], object]] = {
    "none": lambda _: [],
    "two": lambda attacker: [attacker.marker, attacker.marker],
    "a number": lambda _: [42],
    "null": lambda _: [None],
    "an object": lambda attacker: [{attacker.marker: attacker.marker}],
    "plain text": lambda attacker: [attacker.marker],
    "an empty text": lambda _: [""],
    "5 MB of text": lambda attacker: [attacker.marker + "A" * 5_000_000],
    "a lone surrogate": lambda attacker: [attacker.marker + "\ud800"],
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_that_are_no_sealed_request_are_unreadable(attacker: Attacker, name: str) -> None:
    """Anything but one sealed text gets the one answer to what can't be opened."""
    attacker.publish(ARGUMENTS[name](attacker))
    assert (attacker.reply(), attacker.serves_on()) == ("unreadable", SERVES_ON)


def test_keyword_arguments_are_ignored(attacker: Attacker) -> None:
    """A message with keyword arguments and no sealed text is unreadable."""
    attacker.publish([], kwargs={"sealed": attacker.marker})
    assert (attacker.reply(), attacker.serves_on()) == ("unreadable", SERVES_ON)


def test_a_valid_message_is_answered(attacker: Attacker) -> None:
    """What the other tests change one thing of is answered, sealed for its sender."""
    message_id = str(uuid.uuid4())
    attacker.publish([attacker.sealed(message_id)], message_id=message_id)
    opened = json.loads(open_reply(attacker.session.keys, TASK, message_id, attacker.reply()))
    expected = attacker.stack.keystore.expected_encrypted([(USER, attacker.marker)])
    assert [item["encrypted_data"] for item in opened["items"]] == expected


def test_a_message_under_another_id_is_unreadable(attacker: Attacker) -> None:
    """A recorded message can't be replayed under a new id."""
    attacker.publish([attacker.sealed(str(uuid.uuid4()))])
    assert (attacker.reply(), attacker.serves_on()) == ("unreadable", SERVES_ON)


def test_a_message_under_another_task_is_unreadable(attacker: Attacker) -> None:
    """A recorded message can't be moved to another operation."""
    message_id = str(uuid.uuid4())
    sealed = attacker.sealed(message_id, task=Operation.CANDIDATES.task_name)
    attacker.publish([sealed], message_id=message_id)
    assert (attacker.reply(), attacker.serves_on()) == ("unreadable", SERVES_ON)


@pytest.mark.parametrize("part", [0, 5, 12, 200, 1_600, -3], ids=str)
def test_a_changed_message_is_unreadable(attacker: Attacker, part: int) -> None:
    """One changed character, wherever it is, makes a message unreadable."""
    message_id = str(uuid.uuid4())
    sealed = list(attacker.sealed(message_id))
    sealed[part] = "A" if sealed[part] != "A" else "B"
    attacker.publish(["".join(sealed)], message_id=message_id)
    assert (attacker.reply(), attacker.serves_on()) == ("unreadable", SERVES_ON)


def test_a_cut_off_message_is_unreadable(attacker: Attacker) -> None:
    """A message without its end is unreadable."""
    message_id = str(uuid.uuid4())
    attacker.publish([attacker.sealed(message_id)[:-8]], message_id=message_id)
    assert (attacker.reply(), attacker.serves_on()) == ("unreadable", SERVES_ON)


def test_an_expired_message_gets_a_sealed_timeout(attacker: Attacker) -> None:
    """A message whose time is over is not worked on."""
    message_id = str(uuid.uuid4())
    attacker.publish([attacker.sealed(message_id, expiry_in_s=-60)], message_id=message_id)
    opened = json.loads(open_reply(attacker.session.keys, TASK, message_id, attacker.reply()))
    assert (opened["error"]["code"], attacker.serves_on()) == ("timeout", SERVES_ON)


SILENT: dict[str, Callable[[Attacker], dict[str, Any]]] = {
    "an unknown task": lambda attacker: {"task": f"caas.{attacker.marker}"},
    "a task of Celery's": lambda _: {"task": "celery.backend_cleanup"},
    "no task": lambda _: {"headers": {"task": None}},
    "no id": lambda _: {"headers": {"id": None}},
    "an id that is a number": lambda _: {"headers": {"id": 42}},
    "an id that is a list": lambda attacker: {"headers": {"id": [attacker.marker]}},
    "headers of the first protocol": lambda attacker: {
        "body": json.dumps({"task": TASK, "id": attacker.marker, "args": [attacker.marker]}),
    },
    "a start in an hour": lambda _: {"headers": {"eta": "2999-01-01T00:00:00+00:00"}},
    "a start that is no time": lambda attacker: {"headers": {"eta": attacker.marker}},
    "an end that is no time": lambda attacker: {"headers": {"expires": attacker.marker}},
    "an end that is over": lambda _: {"headers": {"expires": "2001-01-01T00:00:00+00:00"}},
    "a time limit that is none": lambda attacker: {
        "headers": {"timelimit": [attacker.marker, attacker.marker]}
    },
    "retries that are no number": lambda attacker: {"headers": {"retries": attacker.marker}},
    "a body that is no JSON": lambda attacker: {"body": attacker.marker},
    "a body that is a number": lambda _: {"body": "42"},
    "a body of two parts": lambda attacker: {"body": json.dumps([[attacker.marker], {}])},
    "arguments that are a text": lambda attacker: {
        "body": json.dumps([attacker.marker, {}, EMBED])
    },
    "keyword arguments that are a list": lambda attacker: {
        "body": json.dumps([[attacker.marker], [attacker.marker], EMBED])
    },
    "keyword arguments named as the task's own": lambda attacker: {
        "kwargs": {"self": attacker.marker, "task": attacker.marker}
    },
    "callbacks": lambda attacker: {
        "embed": {**EMBED, "callbacks": [{"task": attacker.marker, "args": [attacker.marker]}]}
    },
    "callbacks that are a text": lambda attacker: {
        "embed": {**EMBED, "callbacks": attacker.marker, "chain": attacker.marker}
    },
    "a chord": lambda attacker: {
        "embed": {**EMBED, "chord": {"task": attacker.marker}},
        "headers": {"group": "g"},
    },
    "a pickle": lambda attacker: {
        "body": attacker.marker.encode(),
        "content_type": "application/x-python-serialize",
    },
    "an unknown content type": lambda attacker: {
        "body": attacker.marker.encode(),
        "content_type": f"text/{attacker.marker}",
    },
    "headers that hold content": lambda attacker: {
        "headers": {"argsrepr": attacker.marker, "origin": attacker.marker, "shadow": None}
    },
    "a shadow name": lambda attacker: {"headers": {"shadow": attacker.marker}},
    "a parent and a root": lambda attacker: {
        "headers": {"root_id": attacker.marker, "parent_id": attacker.marker}
    },
}


@pytest.mark.parametrize("name", SILENT)
def test_malformed_messages_stop_nobody(attacker: Attacker, name: str) -> None:
    """Whatever the message's frame says, the worker serves on and logs nothing of it."""
    attacker.publish([attacker.marker], **SILENT[name](attacker))
    assert attacker.serves_on() == SERVES_ON


RAW: dict[str, Callable[[str], bytes]] = {
    "no JSON": lambda marker: marker.encode(),
    "no text": lambda marker: b"\xff\xfe" + marker.encode(),
    "a number": lambda _: b"42",
    "an empty object": lambda _: b"{}",
    "a list": lambda marker: json.dumps([marker]).encode(),
    "nothing": lambda _: b"",
    "no properties": lambda marker: json.dumps({"body": marker, "headers": {}}).encode(),
    "deep nesting": lambda marker: b"[" * 100_000 + marker.encode(),
    "a body that is no base64": lambda marker: json.dumps(
        {
            "body": f"!{marker}",
            "headers": {"task": TASK, "id": "x"},
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "properties": {
                "body_encoding": "base64",
                "delivery_tag": "t",
                "delivery_info": {"exchange": "", "routing_key": "caas.fast"},
            },
        }
    ).encode(),
    "an unknown body encoding": lambda marker: json.dumps(
        {
            "body": marker,
            "headers": {"task": TASK, "id": "x"},
            "properties": {"body_encoding": marker, "delivery_tag": "t", "delivery_info": {}},
        }
    ).encode(),
}


@pytest.mark.parametrize("name", RAW)
def test_rubbish_in_the_queue_stops_nobody(attacker: Attacker, name: str) -> None:
    """What is not even a message of the broker's client library is passed over."""
    attacker.redis.lpush(Lane.FAST.value, RAW[name](attacker.marker))
    assert attacker.serves_on() == SERVES_ON
