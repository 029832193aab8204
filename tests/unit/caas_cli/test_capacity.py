"""The capacity model: known values of Erlang's formulas, and plans that carry their target."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caas_cli import capacity
from caas_cli.capacity import Figures, Target, plan
from caas_cli.exit_codes import CommandError, UsageError

FIGURES = Figures(
    lone_call_ms=0.6,
    worker_us=300.0,
    broker_us=40.0,
    password_cpu_ms=120.0,
    password_memory_kib=65_536,
    worker_rss_kib=90 * 1_024,
    message_bytes=3_000,
)
TARGET = Target(calls_per_s=5_000, password_share=0.02, p99_ms=5.0)


@pytest.mark.parametrize(
    ("workers", "load", "expected"),
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (3, 2.0, 4 / 9), (10, 8.0, 0.409180)],
)
def test_erlang_c_gives_the_textbook_values(workers: int, load: float, expected: float) -> None:
    """With one server it is the load itself; the others are in any table of Erlang C."""
    assert capacity.erlang_c(workers, load) == pytest.approx(expected, abs=1e-6)


def test_wait_of_one_server_is_exponential() -> None:
    """M/M/1: P(wait > t) = load · exp(-(1 - load) t / service)."""
    wait_s = capacity.wait_quantile_s(50, 0.01, 1, 0.99)
    assert 0.5 * math.exp(-0.5 * wait_s / 0.01) == pytest.approx(0.01)


def test_workers_that_cannot_keep_up_make_waiting_endless() -> None:
    """At full load the queue grows without bound."""
    assert capacity.wait_quantile_s(100, 0.01, 1, 0.99) == math.inf


def test_most_calls_do_not_wait_with_many_workers() -> None:
    """When fewer than one call in a hundred waits, the hundredth slowest does not."""
    assert capacity.wait_quantile_s(10, 0.01, 8, 0.99) == 0.0


def test_plan_of_an_example() -> None:
    """Each part follows from the target by the rules of the documentation."""
    made = plan(TARGET, FIGURES)
    assert (made.fast_workers, made.password_cores, made.brokers) == (3, 18, 1)
    assert made.password_concurrency == 18
    assert made.worker_memory_mib == (3 + 18) * 90 + 18 * 64
    assert made.broker_memory_mib == math.ceil(5_000 * 10 * 3_000 / 2**20)
    assert made.fast_p99_ms <= TARGET.p99_ms


def test_a_service_without_passwords_needs_no_password_worker() -> None:
    """A lane that is not used costs nothing."""
    made = plan(replace(TARGET, password_share=0.0), FIGURES)
    assert (made.password_cores, made.password_utilisation) == (0, 0.0)


def test_a_tighter_target_needs_more_workers() -> None:
    """Waiting is bought off with workers."""
    tight = plan(replace(TARGET, p99_ms=0.7), FIGURES)
    assert tight.fast_workers > plan(TARGET, FIGURES).fast_workers


def test_a_target_below_a_lone_call_is_refused() -> None:
    """No number of workers makes a call faster than one alone."""
    with pytest.raises(CommandError, match=r"a lone call takes 0\.60 ms"):
        plan(replace(TARGET, p99_ms=0.5), FIGURES)


def test_an_absurd_target_is_refused() -> None:
    """A slip of the pen does not count for minutes."""
    with pytest.raises(CommandError, match="10,000 workers"):
        plan(replace(TARGET, calls_per_s=1e12), FIGURES)


@pytest.mark.parametrize(
    "fields",
    [
        {"calls_per_s": 0},
        {"calls_per_s": math.inf},
        {"calls_per_s": math.nan},
        {"password_share": -0.1},
        {"password_share": 1.1},
        {"p99_ms": 0},
    ],
)
def test_a_target_out_of_range_is_refused(fields: dict[str, float]) -> None:
    """Each number has a range in which it means something."""
    with pytest.raises(UsageError):
        replace(TARGET, **fields)


def test_a_figure_of_nothing_is_refused() -> None:
    """A measurement of 0 is a measurement that failed."""
    with pytest.raises(UsageError, match="more than 0"):
        replace(FIGURES, worker_us=0.0)


@given(
    per_s=st.floats(1, 50_000),
    share=st.floats(0, 0.2),
    p99_ms=st.floats(1, 1_000),
)
def test_every_plan_carries_its_target(per_s: float, share: float, p99_ms: float) -> None:
    """No part is busier than it may be, and p99 is met."""
    made = plan(Target(per_s, share, p99_ms), FIGURES)
    assert made.fast_utilisation <= capacity.MAX_UTILISATION
    assert made.password_utilisation <= capacity.MAX_UTILISATION
    assert made.broker_utilisation <= capacity.MAX_BROKER_UTILISATION
    assert made.fast_p99_ms <= p99_ms
