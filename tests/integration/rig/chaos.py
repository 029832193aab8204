"""Faults that a seed determines: killed workers, a restarted broker, cut connections."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from caas_tasks.names import Lane
from rig.fleet import Fleet
from rig.stack import Stack

FIRST_FAULT_S: Final = 2.0
CALM_END_S: Final = 8.0
"""Without faults at the end, so that what the last one broke is seen to heal."""

CUTS: Final = 5
WORKERS: Final = 2
MAX_KILL_INTERVAL_S: Final = 5.0
MAX_WORKERLESS_S: Final = 2.0
MAX_DOWN_S: Final = 1.5


@dataclass(frozen=True, order=True)
class Fault:
    """One fault to come.

    Attributes:
        at_s: seconds after the start.
        kind: the name of a method of `Chaos`.
        down_s: how long a broker stays away.
    """

    at_s: float
    kind: str
    down_s: float = 0.0


def schedule(seed: int, duration_s: float) -> list[Fault]:
    """The faults of a run, in order; the same for the same arguments."""
    choice = random.Random(seed)
    end_s = duration_s - CALM_END_S
    faults = [
        Fault(choice.uniform(FIRST_FAULT_S, end_s), kind, choice.uniform(0, MAX_DOWN_S))
        for kind in ("kill_broker", "stop_broker")
    ]
    faults += [Fault(choice.uniform(FIRST_FAULT_S, end_s), "cut_connections") for _ in range(CUTS)]
    at_s = FIRST_FAULT_S
    while at_s < end_s - MAX_WORKERLESS_S:
        faults.append(Fault(at_s, "kill_worker"))
        faults.append(Fault(at_s + choice.uniform(0, MAX_WORKERLESS_S), "start_worker"))
        at_s += choice.uniform(1.0, MAX_KILL_INTERVAL_S)
    return sorted(faults)


class Chaos:
    """Carries a schedule out in a thread of its own.

    Attributes:
        done: the faults that were carried out, each with its first and last moment.
    """

    def __init__(self, stack: Stack, seed: int, duration_s: float) -> None:
        self.fleet = Fleet(stack, Lane.FAST.value)
        self.done: list[tuple[Fault, float, float]] = []
        self._stack = stack
        self._choice = random.Random(seed + 1)
        self._duration_s = duration_s
        self._schedule = schedule(seed, duration_s)
        self._never = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos", daemon=True)
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Start the workers; when they are ready the clock runs."""
        for _ in range(WORKERS):
            self.fleet.start()
        self.fleet.wait_until_ready()
        self._stack.wait_until_ready()
        self.started_at = time.monotonic()
        self.ends_at = self.started_at + self._duration_s
        self._thread.start()

    def finish(self) -> None:
        """Wait for the end of the schedule; raises what went wrong in it."""
        self._thread.join(2 * self._duration_s)
        if self._failure is not None:
            raise AssertionError("the chaos itself failed") from self._failure
        if len(self.done) != len(self._schedule):
            raise AssertionError("the schedule was not carried out")

    def _run(self) -> None:
        try:
            for fault in self._schedule:
                self._pause(self.started_at + fault.at_s - time.monotonic())
                began = time.monotonic()
                act: Callable[[Fault], None] = getattr(self, fault.kind)
                act(fault)
                self.done.append((fault, began, time.monotonic()))
        except BaseException as error:  # noqa: BLE001 - `finish` raises it in the test
            self._failure = error

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._never.wait(seconds)

    def kill_worker(self, _fault: Fault) -> None:
        self.fleet.kill_one(self._choice)

    def start_worker(self, _fault: Fault) -> None:
        self.fleet.start()

    def kill_broker(self, fault: Fault) -> None:
        self._stack.broker.kill()
        self._pause(fault.down_s)
        self._stack.broker.start()

    def stop_broker(self, fault: Fault) -> None:
        self._stack.broker.stop()
        self._pause(fault.down_s)
        self._stack.broker.start()

    def cut_connections(self, _fault: Fault) -> None:
        with self._stack.broker.connect() as broker:
            broker.client_kill_filter(_type="normal", skipme=True)

    def was_calm(self, since: float, until: float) -> bool:
        """Whether a span of monotonic seconds had a worker alive and no fault."""
        is_hit = any(
            began <= until and ended >= since
            for fault, began, ended in self.done
            if fault.kind != "start_worker"
        )
        return not is_hit and self.fleet.was_alive(since, until)
