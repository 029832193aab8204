"""`kill -9` in the midst of calls: each ends with the right answer or a typed error, in time."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable

import httpx
import pytest
from rig.hold import HOLD, Hold
from rig.load import THREADS, Load, Outcome
from rig.stack import Gateway, Stack

from producer_client import ServiceError

pytestmark = pytest.mark.integration

CALLS = 1_000
TIMEOUT_S = 30.0
SLACK_S = 5.0
"""How late a call may end on a machine that is busy with the other tests."""

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"


def pairs_of(name: str) -> list[tuple[str, str]]:
    return [
        (str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{k}")), f"{name} {k}") for k in range(CALLS)
    ]


def moment_of(name: str) -> int:
    """After how many calls the fault comes: random, and the same in every run."""
    return random.Random(name).randrange(CALLS // 10, CALLS - CALLS // 10)


def wrong_values(stack: Stack, pairs: list[tuple[str, str]], ended: list[Outcome]) -> list[str]:
    """Answers that are not what the keys determine."""
    expected = stack.keystore.expected_encrypted(pairs)
    return [
        outcome.value
        for outcome, value in zip(ended, expected, strict=True)
        if outcome.value is not None and outcome.value != value
    ]


def untyped_errors(ended: list[Outcome], *typed: type[Exception]) -> list[Exception]:
    return [
        outcome.error
        for outcome in ended
        if outcome.error is not None and not isinstance(outcome.error, typed)
    ]


def late(ended: list[Outcome]) -> list[float]:
    return [outcome.took_s for outcome in ended if outcome.took_s > TIMEOUT_S + SLACK_S]


def through_client(stack: Stack) -> Callable[[str, str], str]:
    client = stack.client(timeout_s=TIMEOUT_S)
    return lambda user_uuid, data: client.encrypt(user_uuid, data).encrypted_data


def test_calls_survive_a_killed_broker(new_stack: Callable[..., Stack]) -> None:
    """Every call is right or fails with its typed error, and the same worker serves on."""
    stack = new_stack()
    worker = stack.start_worker()
    stack.wait_until_ready()
    pairs = pairs_of("broker")
    load = Load(pairs, through_client(stack), moment_of("broker"))
    load.start()
    load.wait_for_the_moment()
    stack.broker.kill()
    stack.broker.start()
    ended = load.outcomes()
    stack.wait_until_ready()
    found = (
        wrong_values(stack, pairs, ended),
        untyped_errors(ended, ServiceError),
        late(ended),
        worker.is_running,
    )
    assert found == ([], [], [], True)


def test_calls_survive_a_killed_worker(new_stack: Callable[..., Stack]) -> None:
    """With time left no call fails: another worker answers the message that is sent again."""
    stack = new_stack()
    worker = stack.start_worker()
    stack.wait_until_ready()
    pairs = pairs_of("worker")
    load = Load(pairs, through_client(stack), moment_of("worker"))
    load.start()
    load.wait_for_the_moment()
    worker.kill()
    stack.start_worker()
    ended = load.outcomes()
    assert [outcome.value for outcome in ended] == stack.keystore.expected_encrypted(pairs)


def test_calls_survive_a_killed_worker_beside_another(new_stack: Callable[..., Stack]) -> None:
    """With a second worker running, no call fails either."""
    stack = new_stack()
    worker, _other = stack.start_worker(), stack.start_worker()
    stack.wait_until_ready()
    pairs = pairs_of("two workers")
    load = Load(pairs, through_client(stack), moment_of("two workers"))
    load.start()
    load.wait_for_the_moment()
    worker.kill()
    ended = load.outcomes()
    assert [outcome.value for outcome in ended] == stack.keystore.expected_encrypted(pairs)


def test_calls_survive_a_killed_gateway(stack: Stack) -> None:
    """Over HTTP a call is answered rightly or its connection breaks; the next gateway serves on."""
    gateway = stack.start_gateway("--no-access-log")
    limits = httpx.Limits(max_connections=THREADS)
    with httpx.Client(base_url=gateway.url, timeout=TIMEOUT_S, limits=limits) as http:
        pairs = pairs_of("gateway")
        load = Load(pairs, through_gateway(http, stack.keystore.api_key), moment_of("gateway"))
        load.start()
        load.wait_for_the_moment()
        gateway.process.kill()
        again: Gateway = stack.start_gateway("--no-access-log", port=gateway.port)
        ended = load.outcomes()
        after = through_gateway(http, stack.keystore.api_key)(*pairs[0])
    again.process.stop()
    found = (
        wrong_values(stack, pairs, ended),
        untyped_errors(ended, httpx.TransportError),
        late(ended),
        [after],
    )
    assert found == ([], [], [], stack.keystore.expected_encrypted(pairs[:1]))


def through_gateway(http: httpx.Client, api_key: str) -> Callable[[str, str], str]:
    def call(user_uuid: str, data: str) -> str:
        body = {"apiKey": api_key, "userUUID": user_uuid, "sensitiveData": data}
        answer = http.post("/encrypt", json=body)
        answer.raise_for_status()
        value: str = answer.json()["encrypted_data"]
        return value

    return call


@pytest.mark.parametrize("pool", ["solo", "prefork", "threads"])
def test_an_idle_worker_survives_a_broker_restart(
    new_stack: Callable[..., Stack], pool: str
) -> None:
    """The same worker process answers when the broker is back."""
    stack = new_stack()
    worker = stack.start_worker(pool=pool)
    stack.wait_until_ready()
    stack.broker.kill()
    stack.broker.start()
    stack.wait_until_ready()
    assert worker.is_running


@pytest.mark.parametrize("pool", ["solo", "prefork", "threads"])
def test_a_busy_worker_survives_a_broker_restart(
    new_stack: Callable[..., Stack], hold: Hold, pool: str
) -> None:
    """A broker that dies while a message is being worked on does not take the worker with it."""
    stack = new_stack()
    worker = stack.start_worker(pool=pool, plugins=["rig.plugins.hold"], env=hold.env)
    stack.wait_until_ready()
    load = Load([(USER, HOLD)], through_client(stack), 1)
    load.start()
    hold.wait_until_begun()
    stack.broker.kill()
    stack.broker.start()
    hold.release()
    values = [outcome.value for outcome in load.outcomes()]
    expected = stack.keystore.expected_encrypted([(USER, HOLD)])
    assert (values, worker.is_running) == (expected, True)
