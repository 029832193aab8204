"""`caas bench` without a service: what it computes, shows and hands to `caas capacity`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from caas_cli import bench, bench_commands, bench_figures
from caas_cli.bench_meters import Readings
from caas_cli.capacity import Figures
from caas_cli.exit_codes import ExitCode
from caas_cli.home import Home
from caas_tasks.encoding import is_uuid
from caas_tasks.stored_forms import PASSWORD_PROFILES
from producer_client.testing import InMemoryService

LONE = {"p50_ms": 0.5, "worker_cpu_us": 300.0, "broker_cpu_us": None}


def test_every_call_has_a_user_of_its_own() -> None:
    """Drawn by several threads at once, no user comes twice: no guess limit is met."""
    users = bench.made_up_users()
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: next(users), range(2_000)))
    assert len(set(drawn)) == 2_000
    assert all(map(is_uuid, drawn))


def test_costs_are_shared_among_the_calls() -> None:
    """CPU seconds become microseconds a call; what could not be read stays unknown."""
    before, after = Readings(1.0, 2.0, None), Readings(1.5, 2.001, 4.0)
    assert bench.costs(before, after, 1_000) == {
        "client_cpu_us": pytest.approx(500.0),
        "worker_cpu_us": pytest.approx(1.0),
        "broker_cpu_us": None,
    }


def test_figures_are_those_of_capacity() -> None:
    """`caas capacity` finds all that it plans with, under the same names."""
    service = InMemoryService()
    found = bench_figures.figures(LONE, service.server_key, service.api_key, 90_000)
    assert found.keys() == {field.name for field in dataclasses.fields(Figures)}


def test_a_message_is_as_large_as_its_envelope_says() -> None:
    """An HPKE-wrapped session secret alone is some 1,600 characters; a short item adds little."""
    service = InMemoryService()
    assert 2_000 < bench_figures.message_bytes(service.server_key, service.api_key) < 4_000


def test_cpu_of_a_password_hash_is_measured_here() -> None:
    """The cheapest parameters take next to nothing, and something."""
    measured = bench_figures.password_cpu_ms(PASSWORD_PROFILES["cheapest"])
    assert measured is not None
    assert measured >= 0


def test_access_keeps_its_secrets() -> None:
    """Neither key nor address is in its `repr`."""
    assert repr(bench.Access("redis://:secret@host", "key", "server")) == "Access()"


def _result(**changes: Any) -> dict[str, Any]:
    costs = {"client_cpu_us": 10.0, "worker_cpu_us": 20.0, "broker_cpu_us": None}
    taken = {"per_s": 1_234.5, "calls": 10, "failed": 0, **costs}
    alone = {**taken, "p50_ms": 0.51, "p90_ms": 0.9, "p99_ms": 1.2}
    return {
        "machine": {"cores": 2, "processor": "a processor"},
        "service": {"is_own": True, "workers": 1},
        "throughput": [{"mode": "threads", "callers": 1, **alone}],
        "encrypt_many": taken,
        "payloads": [{"bytes": 65_536, "alone": alone, "callers_64": taken}],
        "passwords": {"lane": "caas.password", "callers": 4, **taken},
        **changes,
    }


def test_table_has_a_line_for_each_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    """Rates, times and costs stand where their heads are."""
    bench_commands.show(_result())
    shown = capsys.readouterr().out
    lines = ("1 caller, threads", "encrypt_many", "65,536 bytes, 64 callers", "4 callers, passw")
    assert [line in shown for line in lines] == [True] * len(lines)


def test_failed_calls_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A rate that came with failures is no rate."""
    failed = {**_result()["encrypt_many"], "failed": 3}
    bench_commands.show(_result(encrypt_many=failed))
    assert capsys.readouterr().err == "3 calls failed\n"


def test_a_home_without_service_gets_one_of_its_own(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is configured: the command starts what it measures."""
    monkeypatch.setattr(bench_commands, "_own", lambda _scale, workers: {"workers": workers})
    assert bench_commands.run(home, workers=2) == {"workers": 2}


def test_an_installation_is_measured_where_it_is(
    made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`client.env` names it."""
    monkeypatch.setenv("CAAS_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(bench_commands, "_measure", lambda access, _scale, is_own: (access, is_own))
    access, is_own = bench_commands.run(made)  # type: ignore[misc] # the stand-in's pair
    assert (access.broker_url, is_own) == ("redis://127.0.0.1:1/0", False)


def test_a_service_that_does_not_answer_is_one_line(
    made: Home, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens there: the code says so, and no traceback."""
    monkeypatch.setenv("CAAS_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(bench, "TIMEOUT_S", 0.2)
    done = run("bench", "--quick")
    assert (done.exit_code, done.stderr.count("\n")) == (ExitCode.UNAVAILABLE, 1)
