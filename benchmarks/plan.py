"""What is measured of whom, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from benchmarks.contenders import Contender

CALLERS: Final = (8, 64, 512)
PAYLOAD_BYTES: Final = (1_024, 8_192, 65_536)
"""Beside the 32 bytes of all other measurements."""

PAYLOAD_NAMES: Final = frozenset({"caas", "redis_batch", "starlette"})
MANY_ITEMS: Final = {"caas": 200_000, "redis_batch": 200_000, "celery": 2_000}


@dataclass(frozen=True)
class Scale:
    """How long a run takes.

    Attributes:
        rounds: of all contenders in turn.
        seconds: of one measurement.
        many_share: of `MANY_ITEMS`.
        names: the contenders that take part.
    """

    rounds: int
    seconds: float
    many_share: float
    names: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One measurement: its name in the results, and what `benchmarks.driver` is asked."""

    name: str
    request: dict[str, Any]


def steps(contender: Contender, scale: Scale) -> list[Step]:
    """The measurements of one contender in one round, in their order."""
    found: list[Step] = []
    modes = []
    if contender.has_threads:
        modes.append(("threads", "latency", "threads"))
    if contender.has_asyncio:
        modes.append(("asyncio", "async_latency", "asyncio"))
    for mode, latency, rate in modes:
        found.append(_step(f"{mode}.1", scale, what=latency))
        found += [
            _step(f"{mode}.{callers}", scale, what=rate, callers=callers) for callers in CALLERS
        ]
    if contender.name in MANY_ITEMS:
        items = max(1_000, int(MANY_ITEMS[contender.name] * scale.many_share))
        found.append(Step("many", {"what": "many", "items": items}))
    if contender.name in PAYLOAD_NAMES:
        for size in PAYLOAD_BYTES:
            found += [
                _step(f"payload.{size}.1", scale, what="async_latency", data_bytes=size),
                _step(f"payload.{size}.64", scale, what="asyncio", callers=64, data_bytes=size),
            ]
    return found


def _step(name: str, scale: Scale, **request: Any) -> Step:
    return Step(name, {"seconds": scale.seconds, **request})
