"""Observers of the service: told of every request, able to keep a reply back."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from typing import Any

import pytest

from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.names import Operation
from worker.outcome import Outcome
from worker.service import Service
from worker.user_names import UserNames

UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
MARKER = "canary-90c3"
ID = "6f1d7c1e-8f0e-4c55-9d55-1f2f3a4b5c6d"
ITEM = {"userUUID": UUID, "sensitiveData": MARKER}


class Recorder:
    """Keeps what it is told; raises `error` when it has one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.outcomes: list[Outcome] = []
        self._error = error

    def observe(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if self._error is not None:
            raise self._error


@pytest.fixture
def observe(world: Any) -> Callable[..., None]:
    """Puts observers before the world's service; its stopwatch goes a second a look."""

    def put(*observers: Recorder) -> None:
        ticks = itertools.count()
        world.service = Service(
            lambda: world.keyring,
            world.clock.now_ms,
            world.random.token_bytes,
            observers=observers,
            user_names=UserNames(bytes(32)),
            stopwatch=lambda: float(next(ticks)),
        )

    return put


def test_outcome_of_a_batch(world: Any, observe: Callable[..., None]) -> None:
    """The outcome says who asked for what, how each item ended and where the time went."""
    recorder = Recorder()
    observe(recorder)
    world.ask(Operation.ENCRYPT, [ITEM, {}, ITEM])
    (outcome,) = recorder.outcomes
    assert (outcome.message_id, outcome.operation, outcome.at_ms) == (
        ID,
        Operation.ENCRYPT,
        world.clock.value_ms,
    )
    assert (outcome.tenant, outcome.api_key_id) == ("shop", world.api_key.split("_")[1])
    assert (outcome.key_version, outcome.items, outcome.refusal) == (1, 3, None)
    assert outcome.codes == {"ok": 2, "invalid_request": 1}
    stages = outcome.stages
    assert (stages.open_s, stages.work_s, stages.seal_s, outcome.duration_s) == (1, 1, 1, 3)


def test_outcome_holds_nothing_of_the_request(world: Any, observe: Callable[..., None]) -> None:
    """Neither the data nor the user nor the API key's secret stands in an outcome."""
    recorder = Recorder()
    observe(recorder)
    (answer,) = world.ask(Operation.ENCRYPT, [ITEM])["items"]
    text = repr(recorder.outcomes)
    assert len(recorder.outcomes[0].users) == 1
    for value in (MARKER, UUID, world.api_key.split("_")[2], answer["encrypted_data"]):
        assert value not in text


def test_refused_request(world: Any, observe: Callable[..., None]) -> None:
    """A refused request has its code, and no tenant while its key is not accepted."""
    recorder = Recorder()
    observe(recorder)
    world.ask(Operation.ENCRYPT, [ITEM], api_key="x")
    world.ask(Operation.ENCRYPT, [ITEM], expiry_ms=0)
    unknown, late = recorder.outcomes
    assert (unknown.refusal, unknown.tenant, unknown.api_key_id) == ("unauthorized", None, None)
    assert (late.refusal, late.tenant, late.items) == ("timeout", "shop", 0)
    assert late.codes == {"timeout": 1}


def test_unreadable_message(world: Any, observe: Callable[..., None]) -> None:
    """A message that can't be opened is told of too."""
    recorder = Recorder()
    observe(recorder)
    assert world.service.answer(Operation.ENCRYPT, ID, "rubbish") == "unreadable"
    (outcome,) = recorder.outcomes
    assert (outcome.refusal, outcome.items) == ("unreadable", 0)


def test_refusing_observer_keeps_the_reply_back(world: Any, observe: Callable[..., None]) -> None:
    """No result leaves when an observer refuses; the observers after it are told so."""
    after = Recorder()
    observe(Recorder(ServiceUnavailableError()), after)
    assert world.ask(Operation.ENCRYPT, [ITEM]) == {
        "error": {
            "code": "unavailable",
            "message": "The service could not keep account of the request.",
        }
    }
    assert after.outcomes[0].codes == {"unavailable": 1}


def test_crashing_observer_keeps_the_reply_back(
    world: Any, observe: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """A crash in an observer is logged without its message, and no result leaves."""
    observe(Recorder(RuntimeError(MARKER)))
    assert world.ask(Operation.ENCRYPT, [ITEM])["error"]["code"] == "unavailable"
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "RuntimeError at " in record.getMessage()
    assert MARKER not in caplog.text


def test_unreadable_stays_unreadable_when_an_observer_refuses(
    world: Any, observe: Callable[..., None]
) -> None:
    """Without a session there is nothing to seal a refusal with."""
    observe(Recorder(ServiceUnavailableError()))
    assert world.service.answer(Operation.ENCRYPT, ID, "rubbish") == "unreadable"
