"""Every operation from a client through the real broker and a real worker, and back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from rig.process import DEADLINE_S, PROJECT, environment
from rig.stack import KeystoreFolder, Stack, free_port

from caas_tasks.names import Lane, Operation
from producer_client import (
    AsyncClient,
    Client,
    Encrypted,
    InvalidRequestError,
    PayloadTooLargeError,
    RequestTimeoutError,
    ServiceUnavailableError,
    UnauthorizedError,
    UnreadableMessageError,
)

pytestmark = pytest.mark.integration

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
DATA = "example sensitive data"


def pairs_of(name: str, count: int) -> list[tuple[str, str]]:
    return [
        (str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{k}")), f"{name} {k}") for k in range(count)
    ]


def test_encrypt_gives_the_value_that_the_keys_determine(stack: Stack, client: Client) -> None:
    """What comes through the queue is what the operation computes."""
    expected = stack.keystore.expected(Operation.ENCRYPT, userUUID=USER, sensitiveData=DATA)
    assert client.encrypt(USER, DATA) == Encrypted(**expected)


def test_verify_accepts_the_right_data(client: Client) -> None:
    """The data that a value was made from is valid."""
    stored = client.encrypt(USER, DATA)
    assert client.verify(USER, DATA, stored.encrypted_data, stored.key_version).valid


def test_verify_refuses_other_data(client: Client) -> None:
    """Other data is not valid, and that is an answer, not an error."""
    assert not client.verify(USER, "other data", client.encrypt(USER, DATA).encrypted_data).valid


def test_candidates_hold_the_stored_value(client: Client) -> None:
    """The newest candidate is what encrypt gives."""
    assert client.candidates(USER, DATA)[0] == client.encrypt(USER, DATA)


def test_blind_index_gives_the_value_that_the_keys_determine(stack: Stack, client: Client) -> None:
    """What comes through the queue is what the operation computes."""
    expected = stack.keystore.expected(Operation.BLIND_INDEX, field="email", value=DATA)
    assert client.blind_index("email", DATA)[0].index == expected["indexes"][0]["index"]


def test_wrap_gives_the_value_that_the_keys_determine(stack: Stack, client: Client) -> None:
    """What comes through the queue is what the operation computes."""
    digest = "35db2f10e244a196"
    expected = stack.keystore.expected(Operation.WRAP, userUUID=USER, legacyDigest=digest)
    assert client.wrap(USER, digest).wrapped == expected["wrapped"]


def test_encrypt_many_keeps_the_order_over_many_messages(stack: Stack, client: Client) -> None:
    """2,500 items, which no one message holds, come back in order and right."""
    pairs = pairs_of("many", 2_500)
    results = client.encrypt_many(pairs, timeout_s=DEADLINE_S)
    values = [result.encrypted_data for result in results if isinstance(result, Encrypted)]
    assert values == stack.keystore.expected_encrypted(pairs)


def test_encrypt_many_puts_failed_items_in_their_places(stack: Stack, client: Client) -> None:
    """Bad items become errors where they stand; their neighbours are answered."""
    pairs: list[Any] = pairs_of("mixed", 5)
    pairs[1] = ("no UUID", "data")
    pairs[2] = (USER, "\u00e9" * 40_000)
    pairs[3] = (USER, 5)
    results = client.encrypt_many(pairs)
    assert [type(result) for result in results] == [
        Encrypted,
        InvalidRequestError,
        PayloadTooLargeError,
        InvalidRequestError,
        Encrypted,
    ]


def test_encrypt_many_answers_the_neighbours_of_failed_items(stack: Stack, client: Client) -> None:
    """The last of three, after a bad one, has the right value."""
    pairs = pairs_of("neighbours", 3)
    results = client.encrypt_many([pairs[0], ("no UUID", "data"), pairs[2]])
    value = results[2].encrypted_data if isinstance(results[2], Encrypted) else None
    assert value == stack.keystore.expected_encrypted([pairs[2]])[0]


def test_encrypt_many_reports_progress_to_the_end(client: Client) -> None:
    """The last number that on_progress gets is the number of items."""
    seen: list[int] = []
    client.encrypt_many(pairs_of("progress", 1_001), seen.append, timeout_s=DEADLINE_S)
    assert seen[-1] == 1_001


def test_the_asyncio_client_answers_every_task(stack: Stack) -> None:
    """A hundred tasks of one AsyncClient each get their own right answer."""
    pairs = pairs_of("async", 100)

    async def run() -> list[str]:
        async with stack.async_client(timeout_s=DEADLINE_S) as client:
            results = await asyncio.gather(*(client.encrypt(*pair) for pair in pairs))
        return [result.encrypted_data for result in results]

    assert asyncio.run(run()) == stack.keystore.expected_encrypted(pairs)


# What `seal` gives differs at every call: it is compared by what it opens to.
COMPARED_OPENED = {Operation.SEAL}


@pytest.mark.parametrize(
    "operation", [each for each in Operation if each.lane is Lane.FAST], ids=str
)
def test_the_asyncio_client_does_what_the_other_does(
    stack: Stack, client: Client, operation: Operation
) -> None:
    """Each operation of the fast lane gives the same result awaited."""
    stored = client.encrypt(USER, DATA).encrypted_data
    token = client.seal(USER, b"plaintext", b"context")
    arguments: dict[Operation, tuple[Any, ...]] = {
        Operation.ENCRYPT: (USER, DATA),
        Operation.VERIFY: (USER, DATA, stored),
        Operation.CANDIDATES: (USER, DATA),
        Operation.BLIND_INDEX: ("email", DATA),
        Operation.WRAP: (USER, "0123abcd"),
        Operation.SEAL: (USER, b"plaintext", b"context"),
        Operation.OPEN: (USER, token, b"context"),
        Operation.REWRAP: (USER, token, b"context"),
    }

    async def run() -> Any:
        async with stack.async_client(timeout_s=DEADLINE_S) as awaited:
            return await getattr(awaited, operation.value)(*arguments[operation])

    results = [asyncio.run(run()), getattr(client, operation.value)(*arguments[operation])]
    if operation in COMPARED_OPENED:
        results = [client.open(USER, sealed, b"context") for sealed in results]
    assert results[0] == results[1]


def test_encrypt_many_awaited_keeps_the_order(stack: Stack) -> None:
    """1,001 items through the AsyncClient come back in order and right."""
    pairs = pairs_of("many awaited", 1_001)

    async def run() -> list[Any]:
        async with stack.async_client(timeout_s=DEADLINE_S) as client:
            return await client.encrypt_many(pairs)

    values = [result.encrypted_data for result in asyncio.run(run())]
    assert values == stack.keystore.expected_encrypted(pairs)


def test_two_threads_and_a_forked_child_get_their_own_answers(stack: Stack) -> None:
    """One client in one program serves both threads and the child that is forked meanwhile."""
    pairs = [pairs_of(name, 300) for name in ("first", "second", "child")]
    ended = subprocess.run(
        [sys.executable, "-m", "rig.programs.threads_and_fork"],
        input=json.dumps(pairs),
        env=environment(stack.env),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        check=True,
    )
    assert json.loads(ended.stdout) == [stack.keystore.expected_encrypted(part) for part in pairs]


def test_another_services_key_is_unreadable(stack: Stack, tmp_path: Any) -> None:
    """A message sealed to another service's key is answered: the worker could not open it."""
    other = KeystoreFolder(tmp_path).server_key
    client = stack.client(server_key=other)
    with pytest.raises(UnreadableMessageError):
        client.encrypt(USER, DATA, timeout_s=DEADLINE_S)


def test_another_services_api_key_is_unauthorized(stack: Stack, tmp_path: Any) -> None:
    """A well-formed API key that this keystore does not hold is refused."""
    client = stack.client(api_key=KeystoreFolder(tmp_path).api_key)
    with pytest.raises(UnauthorizedError):
        client.encrypt(USER, DATA, timeout_s=DEADLINE_S)


@pytest.mark.parametrize(
    "url",
    ["redis+socket:///nowhere/broker.sock", "redis://127.0.0.1:{port}/0"],
    ids=["path", "port"],
)
def test_a_broker_that_is_not_there_is_unavailable(stack: Stack, url: str) -> None:
    """A call to a wrong broker address ends with the error that says so."""
    client = stack.client(broker_url=url.format(port=free_port()))
    with pytest.raises(ServiceUnavailableError):
        client.encrypt(USER, DATA, timeout_s=1)


def test_a_broker_that_is_not_there_is_unavailable_to_asyncio(stack: Stack) -> None:
    """The AsyncClient says the same of a wrong broker address."""

    async def run() -> None:
        options = {**stack.client_options(), "broker_url": "redis+socket:///nowhere/broker.sock"}
        async with AsyncClient(**options) as client:
            await client.encrypt(USER, DATA, timeout_s=1)

    with pytest.raises(ServiceUnavailableError):
        asyncio.run(run())


def test_no_worker_is_a_timeout(new_stack: Callable[..., Stack]) -> None:
    """With a broker and no worker a call ends at its deadline."""
    client = new_stack().client()
    with pytest.raises(RequestTimeoutError):
        client.encrypt(USER, DATA, timeout_s=1)


def test_a_reply_that_comes_after_the_deadline_disturbs_nobody(
    new_stack: Callable[..., Stack],
) -> None:
    """A client whose call timed out gets the right answer to its next one."""
    stack = new_stack()
    client = stack.client()
    with pytest.raises(RequestTimeoutError):
        client.encrypt(USER, "too early", timeout_s=0.5)
    stack.start_worker()
    value = client.encrypt(USER, DATA, timeout_s=DEADLINE_S).encrypted_data
    assert value == stack.keystore.expected_encrypted([(USER, DATA)])[0]
