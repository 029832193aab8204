"""Lengths and ages of lanes, as a broker tells them."""

from __future__ import annotations

import json
import os
from typing import Any

import fakeredis
import pytest
import redis
from prometheus_client import CollectorRegistry

from caas_tasks import lane_metrics, lanes
from caas_tasks.lane_metrics import LaneCollector
from caas_tasks.message_id import new_message_id
from caas_tasks.names import Lane
from caas_tasks.redis_url import parse_broker_url

NOW_MS = 1_700_000_000_000
URL = parse_broker_url("redis://127.0.0.1:6379/0")


def message(made_ms: int) -> str:
    return json.dumps({"headers": {"id": new_message_id(made_ms, os.urandom)}})


@pytest.fixture
def server() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


def state(server: Any, lane: Lane = Lane.FAST) -> lanes.LaneState:
    return next(found for found in lanes.look(server, lambda: NOW_MS).lanes if found.lane is lane)


def test_an_empty_lane(server: fakeredis.FakeRedis) -> None:
    """Nothing waits, for no time."""
    assert state(server) == lanes.LaneState(Lane.FAST, 0, 0.0)


def test_the_oldest_is_the_one_that_is_taken_next(server: fakeredis.FakeRedis) -> None:
    """Messages are pushed on the left and taken from the right."""
    for age_ms in (3_000, 2_000, 1_000):
        server.lpush(Lane.FAST.value, message(NOW_MS - age_ms))
    assert state(server) == lanes.LaneState(Lane.FAST, 3, 3.0)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[]", b'{"headers": 1}', b"[" * 9_000])
def test_what_is_no_message_has_no_age(server: fakeredis.FakeRedis, raw: bytes) -> None:
    """It is counted all the same."""
    server.lpush(Lane.BULK.value, raw)
    assert state(server, Lane.BULK) == lanes.LaneState(Lane.BULK, 1, None)


class Pipeline:
    """Answers of a broker whose user may not do everything."""

    def __init__(self, answers: list[Any]) -> None:
        self._answers = answers

    def pipeline(self, **_options: Any) -> Any:
        return self

    def llen(self, _name: str) -> Any:
        return self

    def lindex(self, _name: str, _index: int) -> Any:
        return self

    def zcard(self, _name: str) -> Any:
        return self

    def execute(self, **_options: Any) -> list[Any]:
        return self._answers


def test_who_may_not_look_at_messages_still_learns_lengths() -> None:
    """As the monitor's user, who reads no lane."""
    refused = redis.ResponseError()
    backlog = lanes.look(Pipeline([1, refused, 0, None, 2, refused, 4]), lambda: NOW_MS)  # type: ignore[arg-type] # a stand-in
    assert [(found.length, found.oldest_age_s) for found in backlog.lanes] == [
        (1, None),
        (0, 0.0),
        (2, None),
    ]


def test_who_may_not_count_learns_nothing() -> None:
    """Lengths are the least."""
    refused = redis.ResponseError()
    with pytest.raises(redis.ResponseError):
        lanes.look(Pipeline([refused, None, 0, None, 0, None, 0]), lambda: NOW_MS)  # type: ignore[arg-type] # a stand-in


class Scene:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, client: Any) -> None:
        self.now_s = 0.0
        self.asked = 0

        def connect(*_args: Any, **_options: Any) -> Any:
            self.asked += 1
            return client

        monkeypatch.setattr(lane_metrics, "connect", connect)
        self.registry = CollectorRegistry()
        self.registry.register(LaneCollector((URL,), lambda: self.now_s))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"broker": URL.display, **labels})


def test_prometheus_gets_them(monkeypatch: pytest.MonkeyPatch, server: Any) -> None:
    """By broker and lane."""
    server.lpush(Lane.PASSWORD.value, message(NOW_MS))
    scene = Scene(monkeypatch, server)
    assert scene.value("caas_broker_up") == 1
    assert scene.value("caas_lane_length", lane="password") == 1
    assert scene.value("caas_lane_oldest_age_seconds", lane="fast") == 0
    assert scene.value("caas_bulk_jobs_open") == 0


def test_a_broker_that_is_away_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As down, without lengths; the line in the log repeats nothing of the address's secrets."""

    class Gone:
        def pipeline(self, **_options: Any) -> Any:
            raise redis.ConnectionError

    scene = Scene(monkeypatch, Gone())
    assert scene.value("caas_broker_up") == 0
    assert scene.value("caas_lane_length", lane="fast") is None
    assert "are not known: ConnectionError" in caplog.text


def test_a_flood_of_scrapes_asks_the_broker_once_a_second(
    monkeypatch: pytest.MonkeyPatch, server: Any
) -> None:
    """One look answers those that come together."""
    scene = Scene(monkeypatch, server)
    server.lpush(Lane.FAST.value, message(NOW_MS))
    assert scene.value("caas_lane_length", lane="fast") == 1
    server.lpush(Lane.FAST.value, message(NOW_MS))
    assert scene.value("caas_lane_length", lane="fast") == 1
    scene.now_s += lane_metrics.CACHE_S
    assert scene.value("caas_lane_length", lane="fast") == 2
