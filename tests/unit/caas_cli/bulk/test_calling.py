"""What is asked again, how long is waited, and when it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from caas_cli.bulk.calling import Caller, StoppedError
from caas_cli.bulk.chunks import Entry
from caas_tasks.errors import (
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    RateLimitedError,
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
    UnreadableMessageError,
)

ENTRIES: list[Entry] = [(f"user {number}", "value") for number in range(3)]


class Waits(threading.Event):
    """An event whose waits only move a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.waited: list[float] = []
        self.ends_after: int | None = None

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0.0)
        self.now += timeout or 0.0
        if self.ends_after == len(self.waited):
            self.set()
        return self.is_set()


class Service:
    """Answers with what it was given, call by call, then with `ok`."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []

    def __call__(self, entries: list[Entry]) -> list[Any]:
        self.asked.append(len(entries))
        answer = self.answers.pop(0) if self.answers else ["ok"] * len(entries)
        if isinstance(answer, ServiceError):
            return [answer] * len(entries)
        return list(answer)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def caller(waits: Waits) -> Callable[..., Caller]:
    def make(service: Service, patience_s: float = 60.0) -> Caller:
        return Caller(
            service,
            patience_s=patience_s,
            clock=lambda: waits.now,
            stop=waits,
            on_wait=lambda _text: None,
        )

    return make


def test_answers_are_answers(caller: Any, waits: Waits) -> None:
    """Nothing is waited for when everything is answered."""
    assert caller(Service()).answer(ENTRIES) == ["ok"] * 3
    assert waits.waited == []


def test_an_empty_chunk_is_not_asked_about(caller: Any) -> None:
    """All its rows had failed already."""
    service = Service()
    assert (caller(service).answer([]), service.asked) == ([], [])


def test_a_row_that_fails_is_not_asked_again(caller: Any) -> None:
    """Waiting doesn't mend it."""
    service = Service(["ok", InvalidRequestError(), "ok"])
    assert caller(service).answer(ENTRIES) == ["ok", InvalidRequestError(), "ok"]
    assert service.asked == [3]


@pytest.mark.parametrize("error", [RequestTimeoutError(), ServiceUnavailableError()])
def test_rows_without_an_answer_are_asked_again_alone(
    caller: Any, waits: Waits, error: ServiceError
) -> None:
    """The others keep theirs; the pause grows."""
    service = Service(["ok", error, error], [error, "late"])
    assert caller(service).answer(ENTRIES) == ["ok", "ok", "late"]
    assert (service.asked, waits.waited) == ([3, 2, 1], [0.5, 1.0])


def test_a_service_that_stays_away_ends_the_run(caller: Any, waits: Waits) -> None:
    """When it has answered nothing for as long as the patience is."""
    with pytest.raises(RequestTimeoutError):
        caller(Service(*[RequestTimeoutError()] * 100)).answer(ENTRIES)
    assert 60 <= waits.now < 75


def test_an_answer_to_another_row_keeps_the_run_going(caller: Any, waits: Waits) -> None:
    """The patience counts from the last answer of any kind."""
    away = RequestTimeoutError()
    service = Service(*[away] * 8, ["ok", away, away], *[away] * 4)
    assert caller(service).answer(ENTRIES) == ["ok"] * 3
    assert waits.now > 60


def test_limited_rows_wait_as_long_as_they_are_told(caller: Any, waits: Waits) -> None:
    """The shortest of the waits, never less than a tenth of a second."""
    limited = [RateLimitedError(retry_after_s=seconds) for seconds in (7, 3)]
    service = Service(["ok", *limited], [RateLimitedError(retry_after_s=0.001), "ok"])
    assert caller(service).answer(ENTRIES) == ["ok"] * 3
    assert waits.waited == [3, 0.1]


def test_a_limit_longer_than_the_patience_is_a_failure(caller: Any, waits: Waits) -> None:
    """One busy user doesn't hold up the whole."""
    error = RateLimitedError(retry_after_s=3_600)
    assert caller(Service(["ok", error, "ok"])).answer(ENTRIES) == ["ok", error, "ok"]
    assert waits.waited == []


def test_a_limit_that_is_renewed_for_ever_ends(caller: Any, waits: Waits) -> None:
    """After the patience."""
    results = caller(Service(*[RateLimitedError(retry_after_s=10)] * 100)).answer(ENTRIES)
    assert {type(result) for result in results} == {RateLimitedError}
    assert 50 <= waits.now <= 60


def test_limited_and_unanswered_rows_are_asked_together(caller: Any, waits: Waits) -> None:
    """Soon: the unanswered one need not wait for the other's budget."""
    service = Service(["ok", RateLimitedError(retry_after_s=50), RequestTimeoutError()])
    assert caller(service).answer(ENTRIES) == ["ok"] * 3
    assert waits.waited == [0.5]


def test_one_row_that_a_worker_stumbles_over_is_a_failure(caller: Any) -> None:
    """Its neighbours were answered."""
    service = Service(["ok", InternalError(), "ok"])
    assert caller(service).answer(ENTRIES) == ["ok", InternalError(), "ok"]


def test_a_whole_chunk_of_internal_errors_is_trouble_of_the_service(
    caller: Any, waits: Waits
) -> None:
    """An audit log on a full disk, say: rows must not be taken for bad ones."""
    assert caller(Service(InternalError(), InternalError())).answer(ENTRIES) == ["ok"] * 3
    with pytest.raises(InternalError):
        caller(Service(*[InternalError()] * 100)).answer(ENTRIES)


@pytest.mark.parametrize("entries", [ENTRIES, ENTRIES[:1]])
def test_a_message_that_no_worker_opens_ends_the_run(caller: Any, entries: list[Entry]) -> None:
    """It was sealed to another installation's key; no waiting helps."""
    with pytest.raises(UnreadableMessageError):
        caller(Service(UnreadableMessageError())).answer(entries)


def test_a_refusal_goes_through(caller: Any) -> None:
    """The client raises it for the whole."""

    def refuse(_entries: list[Entry]) -> list[Any]:
        raise ForbiddenError

    with pytest.raises(ForbiddenError):
        caller(refuse).answer(ENTRIES)


def test_a_stop_ends_every_wait(caller: Any, waits: Waits) -> None:
    """At once, whatever is being waited for."""
    waits.ends_after = 2
    with pytest.raises(StoppedError):
        caller(Service(*[RequestTimeoutError()] * 100)).answer(ENTRIES)
    assert len(waits.waited) == 2
