"""Guess limits and the audit log in real workers: the bound, the answer's way out, the chain."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from rig.stack import Stack

from caas_tasks.names import API_KEYS_USED, Operation
from producer_client import Client, RateLimitedError, ServiceUnavailableError
from worker.audit_chain import Verdict, chain_key, verify
from worker.guess_windows import MINUTE_S, Budget

pytestmark = pytest.mark.integration

LIMITED = {"CAAS_GUESS_LIMITS": "on"}
USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
DATA = "example sensitive data"
GUESSES = 200
CLIENTS = 10
BOUND = Budget.of(60, 1_000).fleet_bound(2)[0]


def windows_between(start_s: float, end_s: float) -> int:
    """How many of the limit's minutes a span touches: each has a budget of its own."""
    return int(end_s) // MINUTE_S - int(start_s) // MINUTE_S + 1


def start(stack: Stack, workers: int) -> None:
    """Start workers that limit guesses, and wait until each is ready."""
    for _ in range(workers):
        stack.start_worker("--loglevel=INFO", env=LIMITED)
    for worker in stack.workers:
        worker.wait_for("ready.")


def guess(client: Client, stored: str) -> float | None:
    """One wrong guess: None when it was worked on, else when to come back."""
    try:
        assert not client.verify(USER, "a wrong guess", stored)
    except RateLimitedError as error:
        return error.retry_after_s
    return None


def test_parallel_wrong_guesses_over_two_workers(new_stack: Callable[..., Stack]) -> None:
    """200 wrong guesses about one user, at once, over two workers: no more than the bound."""
    stack = new_stack()
    start(stack, 2)
    stored = stack.keystore.expected_encrypted([(USER, DATA)])[0]
    # Several clients, so that there are messages for both workers.
    clients = [stack.client(timeout_s=60) for _ in range(CLIENTS)]
    started_s = time.time()
    with ThreadPoolExecutor(GUESSES) as pool:
        found = list(pool.map(lambda n: guess(clients[n % CLIENTS], stored), range(GUESSES)))
    windows = windows_between(started_s, time.time())
    refused = [seconds for seconds in found if seconds is not None]
    assert GUESSES - len(refused) <= BOUND * windows
    assert len(refused) >= GUESSES - BOUND * windows > 0
    assert all(1 <= seconds <= MINUTE_S and seconds == int(seconds) for seconds in refused)


def test_ten_thousand_users_at_normal_rates(new_stack: Callable[..., Stack]) -> None:
    """10,000 users who each log in three times: nobody is limited."""
    stack = new_stack()
    start(stack, 2)
    users = [str(uuid.uuid4()) for _ in range(10_000)]
    client = stack.client(timeout_s=120)
    for attempt in ("right", "right", "wrong"):
        results = client.encrypt_many([(user, attempt) for user in users])
        assert not [result for result in results if isinstance(result, Exception)]
    with stack.broker.connect() as server:
        # Hardly anybody was asked about: those few who share their cells in a worker's count.
        assert len(list(server.scan_iter("caas:guess:*"))) < 50


@pytest.fixture
def limited_stack(new_stack: Callable[..., Stack]) -> Stack:
    """A worker that limits to three guesses in a day, so that no minute's end comes between."""
    stack = new_stack()
    stack.start_worker(env={**LIMITED, "CAAS_GUESSES_PER_DAY": "3"})
    stack.wait_until_ready()
    return stack


def test_time_to_wait_reaches_client_and_http(limited_stack: Stack) -> None:
    """Over the limit both a client's error and HTTP's header say when to come back."""
    gateway = limited_stack.start_gateway()
    client = limited_stack.client(timeout_s=30)
    # More than both days of a midnight give.
    (*_, last) = client.encrypt_many([(USER, DATA)] * 8)
    assert isinstance(last, RateLimitedError)
    assert last.retry_after_s is not None
    assert 1 <= last.retry_after_s <= 86_400
    body = {"apiKey": limited_stack.keystore.api_key, "userUUID": USER, "sensitiveData": DATA}
    for _ in range(8):
        answer = httpx.post(f"{gateway.url}/encrypt", json=body, timeout=30)
        if answer.status_code != 200:
            break
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 86_400
    assert answer.json()["code"] == "rate_limited"


def test_right_guesses_are_given_back(limited_stack: Stack) -> None:
    """A user who knows the data is never limited, however often it logs in."""
    client = limited_stack.client(timeout_s=30)
    stored = limited_stack.keystore.expected_encrypted([(USER, DATA)])[0]
    assert all(client.verify(USER, DATA, stored) for _ in range(20))


def test_own_right_guesses_buy_none_about_others(limited_stack: Stack) -> None:
    """Beside a guess that is refused a right one gives back itself, not the other's."""
    client = limited_stack.client(timeout_s=30)
    other = str(uuid.uuid4())
    stored, own = limited_stack.keystore.expected_encrypted([(USER, DATA), (other, DATA)])
    wrong = {"userUUID": USER, "sensitiveData": "a wrong guess", "encrypted_data": stored}
    right = {"userUUID": other, "sensitiveData": DATA, "encrypted_data": own}
    answers = [client.request_items(Operation.VERIFY, [wrong, right]) for _ in range(30)]
    computed = [about for about, _ in answers if not isinstance(about, RateLimitedError)]
    # Both days of a midnight give three.
    assert len(computed) in {3, 6}
    assert not [error for _, error in answers if isinstance(error, Exception)]


def test_all_operations_draw_on_one_budget(limited_stack: Stack) -> None:
    """Whatever a guess is made with, in whichever lane, it is one of the same user's few."""
    limited_stack.start_password_worker(env={**LIMITED, "CAAS_GUESSES_PER_DAY": "3"}).wait_for(
        "ready."
    )
    client = limited_stack.client(timeout_s=30)
    stored = limited_stack.keystore.expected_encrypted([(USER, DATA)])[0]
    stored_hash = client.hash_password(USER, DATA)
    guesses: list[Callable[[], object]] = [
        lambda: client.encrypt(USER, "a guess"),
        lambda: client.verify(USER, "a guess", stored),
        lambda: client.candidates(USER, "a guess"),
        lambda: client.wrap(USER, "ab" * 32),
        lambda: client.verify_password(USER, "a guess", stored_hash),
    ]
    answered = 0
    for _ in range(6):
        for ask in guesses:
            with suppress(RateLimitedError):
                ask()
                answered += 1
    # Each of the two workers has an allowance of its own beside what they share.
    bound = Budget.of(60, 3).fleet_bound(2)[1]
    assert 3 <= answered <= 2 * bound
    for ask in guesses:
        with pytest.raises(RateLimitedError):
            ask()


def test_use_of_a_key_is_noted(limited_stack: Stack) -> None:
    """A worker notes when an API key was last used."""
    limited_stack.client(timeout_s=30).blind_index("f", "v")
    limited_stack.workers[0].stop()
    with limited_stack.broker.connect() as server:
        used: Any = server.hgetall(API_KEYS_USED)
    key_id = limited_stack.keystore.api_key.split("_")[1].encode()
    assert abs(int(used[key_id]) - time.time()) < 3_600


# --- the audit log


def check(stack: Stack, folder: Path) -> list[Verdict]:
    key = chain_key(stack.keystore.load().audit_key)
    verdicts: list[Verdict] = []
    for path in sorted(folder.iterdir()):
        with path.open("rb") as lines:
            verdicts.append(verify(key, lines, verdicts[-1] if verdicts else None))
    return verdicts


@pytest.mark.parametrize("pool", ["solo", "threads", "prefork"])
def test_audit_log_of_a_worker(new_stack: Callable[..., Stack], pool: str) -> None:
    """Each pool writes whole chains, from start to stop, with a line for each request."""
    stack = new_stack()
    folder = stack.folder / "audit"
    worker = stack.start_worker(pool=pool, env={"CAAS_AUDIT_DIR": str(folder)})
    client = stack.client(timeout_s=60)
    for number in range(5):
        client.encrypt(USER, f"{DATA} {number}")
    worker.stop()
    assert [(verdict.fault, verdict.is_closed) for verdict in check(stack, folder)] == [
        (None, True)
    ] * len(list(folder.iterdir()))
    texts = [line for path in folder.iterdir() for line in path.read_text().splitlines()]
    requests = [line for line in map(json.loads, texts) if line["event"] == "request"]
    assert {(line["operation"], line["outcome"]) for line in requests} == {("encrypt", "ok")}
    # A message that is sent again while the worker starts is answered, and noted, again.
    assert len({line["message"] for line in requests}) == 5
    assert len({line["users"][0] for line in requests}) == 1


def test_killed_worker_leaves_an_open_log(new_stack: Callable[..., Stack]) -> None:
    """`kill -9` leaves a chain that is right as far as it goes, and has no last line."""
    stack = new_stack()
    folder = stack.folder / "audit"
    worker = stack.start_worker(env={"CAAS_AUDIT_DIR": str(folder)})
    stack.client(timeout_s=60).encrypt(USER, DATA)
    worker.kill()
    (verdict,) = check(stack, folder)
    assert (verdict.fault, verdict.is_closed) == (None, False)


def test_request_is_not_answered_without_its_line(new_stack: Callable[..., Stack]) -> None:
    """A worker whose disk is full keeps results back, and one that need not audit does not."""
    stack = new_stack()
    plugin = ["rig.plugins.full_disk"]
    env = {"CAAS_AUDIT_DIR": str(stack.folder / "audit")}
    worker = stack.start_worker(env=env, plugins=plugin)
    with pytest.raises(ServiceUnavailableError, match="keep account"):
        stack.client(timeout_s=60).encrypt(USER, DATA)
    worker.stop()
    stack.start_worker(env={**env, "CAAS_AUDIT_REQUIRED": "off"}, plugins=plugin)
    assert stack.client(timeout_s=60).encrypt(USER, DATA)
