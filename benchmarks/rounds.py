"""Carries a plan out: every contender in turn, round after round; keeps every sample."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from benchmarks import plan, start_up
from benchmarks.contenders import BY_NAME, ROOT, Contender
from benchmarks.stage import Callers, Served, Stage, cpu_s

WORKERS: Final = (1, 2, 4)
CLIENT_PROCESSES: Final = 8
WAITING_CALLS: Final = 10_000
PROCESS_NAMES: Final = ("caas", "celery", "redis_list")
Samples = dict[str, dict[str, list[dict[str, Any]]]]
Say = Callable[[str], None]


class Run:
    """Measures, and keeps the samples by contender and measurement.

    Attributes:
        samples: one dictionary a round.
        problems: what could not be measured, one line each.
    """

    def __init__(self, stage: Stage, scale: plan.Scale, say: Say) -> None:
        self._stage = stage
        self._scale = scale
        self._say = say
        self._started_at = time.monotonic()
        self.samples: Samples = {}
        self.problems: list[str] = []

    def carry_out(self) -> None:
        """All rounds; a contender that fails misses its round and stops nothing."""
        for number in range(1, self._scale.rounds + 1):
            for name in self._scale.names:
                self._attempt(number, name, self._contender, BY_NAME[name])
            for name in PROCESS_NAMES:
                if name in self._scale.names:
                    self._attempt(number, f"{name} processes", self._processes, BY_NAME[name])
            for workers in WORKERS:
                self._attempt(number, f"{workers} workers", self._workers, workers)
            self._attempt(number, "in process", self._in_process)
            self._attempt(number, "waiting, start, import", self._figures)

    def _attempt(self, number: int, title: str, measure: Callable[..., None], *args: Any) -> None:
        started = time.monotonic()
        try:
            measure(*args)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            self.problems.append(f"round {number}, {title}: {error}")
        self._stage.flush()
        total_s = time.monotonic() - self._started_at
        self._say(
            f"{total_s:6.0f} s  round {number}/{self._scale.rounds}  {title:<20}"
            f"{time.monotonic() - started:5.1f} s  {self._latest(title)}"
        )

    def _latest(self, name: str) -> str:
        taken = self.samples.get(name, {})
        shown = []
        for mode in ("threads", "asyncio"):
            if f"{mode}.1" in taken:
                p50_ms = taken[f"{mode}.1"][-1]["p50_ms"]
                per_s = taken[f"{mode}.64"][-1]["per_s"]
                shown.append(f"{mode}: {p50_ms:.2f} ms, {per_s:,.0f}/s with 64")
        return "; ".join(shown)

    def _keep(self, name: str, measurement: str, sample: dict[str, Any]) -> None:
        self.samples.setdefault(name, {}).setdefault(measurement, []).append(sample)

    @contextmanager
    def _serving(self, contender: Contender) -> Iterator[tuple[Served, list[int]]]:
        """The contender's processes, and with the gateway the worker behind it."""
        with ExitStack() as exits:
            pids: list[int] = []
            if contender.name == "gateway":
                pids += exits.enter_context(self._stage.serve(BY_NAME["caas"])).pids
            served = exits.enter_context(self._stage.serve(contender))
            yield served, [*pids, *served.pids]

    def _contender(self, contender: Contender) -> None:
        with self._serving(contender) as (served, pids), served.callers() as callers:
            for step in plan.steps(contender, self._scale):
                before_s = cpu_s(pids)
                callers.ask(step.request)
                sample = callers.answer()
                self._keep(contender.name, step.name, with_cpu(sample, cpu_s(pids) - before_s))

    def _processes(self, contender: Contender) -> None:
        """Many client processes, each with one call at a time."""
        with self._serving(contender) as (served, pids), ExitStack() as exits:
            clients: list[Callers] = [served.callers() for _ in range(CLIENT_PROCESSES)]
            for client in clients:
                exits.enter_context(client)
            before_s = cpu_s(pids)
            request = {"what": "threads", "callers": 1, "seconds": 2 * self._scale.seconds}
            for client in clients:
                client.ask(request)
            answers = [client.answer() for client in clients]
            names = ("per_s", "calls", "all_calls", "failed", "client_cpu_s")
            total = {key: sum(answer[key] for answer in answers) for key in names}
            self._keep(contender.name, "processes.8", with_cpu(total, cpu_s(pids) - before_s))

    def _workers(self, workers: int) -> None:
        """Several worker processes and callers enough for all of them."""
        with self._stage.serve(BY_NAME["caas"], workers) as served, served.callers() as callers:
            request = {"what": "asyncio", "callers": 512, "seconds": 2 * self._scale.seconds}
            self._stage.wait_for_consumers(workers)
            callers.ask({**request, "seconds": 0.5})  # each opens the client's session once
            callers.answer()
            before_s = cpu_s(served.pids)
            callers.ask(request)
            sample = callers.answer()
            spent_s = cpu_s(served.pids) - before_s
            self._keep("caas", f"workers.{workers}", with_cpu(sample, spent_s))

    def _in_process(self) -> None:
        items = int(plan.MANY_ITEMS["caas"] * self._scale.many_share)
        command = (sys.executable, "-m", "benchmarks.in_process", str(items))
        per_s = float(subprocess.check_output(command, cwd=ROOT, env=self._stage.env))
        self._keep("in_process", "many", {"per_s": per_s, "calls": items, "failed": 0})

    def _figures(self) -> None:
        command = (sys.executable, "-m", "benchmarks.waiting_calls", str(WAITING_CALLS))
        grown = int(subprocess.check_output(command, cwd=ROOT, env=self._stage.env))
        self._keep("figures", "waiting_mib", {"value": grown / 2**20})
        self._keep("figures", "start_s", {"value": start_up.until_ready_s(self._stage.new_home())})
        self._keep("figures", "import_s", {"value": start_up.import_s()})


def with_cpu(sample: dict[str, Any], worker_cpu_s: float) -> dict[str, Any]:
    """A sample with the CPU time of one call in microseconds, on both sides."""
    calls = max(1, sample.get("all_calls", sample["calls"]))
    client_cpu_s = sample.pop("client_cpu_s", 0.0)
    return {
        **sample,
        "client_cpu_us": 1e6 * client_cpu_s / calls,
        "worker_cpu_us": 1e6 * worker_cpu_s / calls,
    }
