"""The items of a request under a guess limit: refused in their places, given back when right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from caas_tasks.errors import RateLimitedError, ServiceError
from caas_tasks.names import Operation
from worker import batch
from worker.batch import CHECKS, GUESSES
from worker.keystore.document import Tenant
from worker.service import Service

UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
OTHER_UUID = "00000000-0000-4000-8000-000000000001"
ITEM = {"userUUID": UUID, "sensitiveData": "data"}
LIMITED = {"code": "rate_limited", "message": "Too many requests for this user.", "retry_after": 7}


class Reserved:
    """Refuses what comes after so many guesses, and notes what is given back."""

    def __init__(self, limits: Limits, refusals: list[ServiceError | None]) -> None:
        self._limits = limits
        self.refusals = refusals

    def give_back(self, positions: Sequence[int]) -> None:
        self._limits.given_back.append(list(positions))


class Limits:
    """Lets so many guesses of each message pass, and none about the users that it is told of."""

    def __init__(self, passing: int = 1_000) -> None:
        self._passing = passing
        self.closed: set[str] = set()
        self.asked: list[tuple[str, list[str]]] = []
        self.given_back: list[list[int]] = []

    def reserve(self, tenant: Tenant, users: Sequence[str]) -> Reserved:
        self.asked.append((tenant.name, list(users)))
        error = RateLimitedError(retry_after_s=7)
        refusals = [
            error if place >= self._passing or user in self.closed else None
            for place, user in enumerate(users)
        ]
        return Reserved(self, refusals if any(refusals) else [])


@pytest.fixture
def limit(world: Any) -> Callable[[int], Limits]:
    """Puts a limit before the world's service."""

    def put(passing: int) -> Limits:
        limits = Limits(passing)
        world.service = Service(
            lambda: world.keyring, world.clock.now_ms, world.random.token_bytes, limits=limits
        )
        return limits

    return put


def test_guesses_over_the_limit_are_refused_in_their_places(
    world: Any, limit: Callable[[int], Limits]
) -> None:
    """Bad items take nothing, refused ones keep their references, neighbours their answers."""
    limits = limit(2)
    items = [{}, ITEM, ITEM, {"userUUID": "x"}, {**ITEM, "reference": "r"}]
    answers = world.ask(Operation.ENCRYPT, items)["items"]
    codes = [answer.get("error", {}).get("code", "ok") for answer in answers]
    assert codes == ["invalid_request", "ok", "ok", "invalid_request", "rate_limited"]
    assert answers[-1] == {"error": LIMITED, "reference": "r"}
    assert limits.asked == [("shop", [UUID] * 3)]


def test_both_cases_of_a_uuid_are_one_user(world: Any, limit: Callable[[int], Limits]) -> None:
    """Upper case is no second budget."""
    limits = limit(9)
    world.ask(Operation.ENCRYPT, [{**ITEM, "userUUID": UUID.upper()}])
    assert limits.asked == [("shop", [UUID])]


def test_right_guesses_are_given_back_by_their_places(
    world: Any, limit: Callable[[int], Limits]
) -> None:
    """Of a batch those that were right are given back, counted among the guesses alone."""
    (stored,) = world.ask(Operation.ENCRYPT, [ITEM])["items"]
    limits = limit(9)
    right = {**ITEM, **stored}
    wrong = {**right, "sensitiveData": "other"}
    world.ask(Operation.VERIFY, [wrong, {}, right, wrong, right])
    assert limits.given_back == [[1, 3]]


def test_right_guess_beside_a_refused_one_gives_back_itself(
    world: Any, limit: Callable[[int], Limits]
) -> None:
    """A guess that was refused keeps its place: nobody's right guess is another user's gain."""
    own = {**ITEM, "userUUID": OTHER_UUID}
    (stored,) = world.ask(Operation.ENCRYPT, [own])["items"]
    limits = limit(9)
    limits.closed = {UUID}
    right = {**own, **stored}
    wrong = {**right, "userUUID": UUID}
    answers = world.ask(Operation.VERIFY, [wrong, right, {}, wrong, right])["items"]
    assert [answer.get("error", {}).get("code") for answer in answers] == [
        *("rate_limited", None, "invalid_request", "rate_limited", None)
    ]
    assert limits.given_back == [[1, 3]]


@pytest.mark.parametrize("operation", [Operation.ENCRYPT, Operation.CANDIDATES])
def test_nothing_is_right_where_nothing_is_checked(
    world: Any, limit: Callable[[int], Limits], operation: Operation
) -> None:
    """An operation that does not say whether a guess was right gives none back."""
    limits = limit(9)
    world.ask(operation, [ITEM])
    assert (len(limits.asked), limits.given_back) == (1, [])


def test_blind_index_is_no_guess_about_a_user(world: Any, limit: Callable[[int], Limits]) -> None:
    """An operation without a user asks no limit."""
    limits = limit(0)
    (answer,) = world.ask(Operation.BLIND_INDEX, [{"field": "f", "value": "v"}])["items"]
    assert "indexes" in answer
    assert limits.asked == []


def test_limit_that_crashes_lets_nothing_pass(world: Any) -> None:
    """A fault in the limit fails the request: no guess is worked on."""

    class Broken:
        def reserve(self, tenant: Tenant, users: Sequence[str]) -> Any:
            raise RuntimeError

    world.service = Service(
        lambda: world.keyring, world.clock.now_ms, world.random.token_bytes, limits=Broken()
    )
    assert world.ask(Operation.ENCRYPT, [ITEM])["error"]["code"] == "internal"


@pytest.fixture
def slow_items(world: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every item takes 4 seconds of the world's clock; the times at which one was begun."""
    begun: list[int] = []

    def take(*_: object) -> dict[str, Any]:
        begun.append(world.clock.value_ms)
        world.clock.value_ms += 4_000
        return {"hash": "made"}

    monkeypatch.setattr(batch, "execute", take)
    return begun


def test_passwords_past_the_expiry_are_not_hashed(world: Any, slow_items: list[int]) -> None:
    """Work on a message of many passwords ends with its expiry, clocks allowed for."""
    items = [{"userUUID": UUID, "password": "p", "reference": str(n)} for n in range(9)]
    expiry_ms = world.clock.value_ms + 4_000
    answers = world.ask(Operation.HASH_PASSWORD, items, expiry_ms=expiry_ms)["items"]
    codes = [answer.get("error", {}).get("code", "ok") for answer in answers]
    assert codes == ["ok"] * 3 + ["timeout"] * 6
    assert [answer["reference"] for answer in answers] == list("012345678")
    assert len(slow_items) == 3


def test_other_operations_do_not_look_at_the_time_again(world: Any, slow_items: list[int]) -> None:
    """A batch of what takes microseconds is answered whole."""
    world.ask(Operation.ENCRYPT, [ITEM] * 9, expiry_ms=world.clock.value_ms + 4_000)
    assert len(slow_items) == 9


def test_limited_operations_exist() -> None:
    """The names are operations, and those that check are among those that guess."""
    names = {operation.value for operation in Operation}
    assert names >= GUESSES >= CHECKS
