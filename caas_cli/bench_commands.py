"""`caas bench`: its options, where it measures, and what it shows."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from caas_cli import client_env
from caas_cli.exit_codes import CommandError, ExitCode
from caas_cli.home import Home
from caas_cli.output import say, say_json, say_table, warn

if TYPE_CHECKING:
    from caas_cli.bench import Access, Scale
    from caas_cli.up import Running

app = typer.Typer()

_SETTINGS: Final = (client_env.BROKER_URL, client_env.API_KEY, client_env.SERVER_KEY)
_OF_AN_INSTALLATION: Final = (*_SETTINGS, "CAAS_KEYSTORE", "CAAS_IDENTITY")
_LOCALHOST: Final = "127.0.0.1"


@app.command("bench", epilog="Example: caas bench --quick --json > figures.json")
def bench_command(
    quick: Annotated[bool, typer.Option("--quick", help="In about half the time.")] = False,
    own: Annotated[
        bool, typer.Option("--own", help="Start a service for this, even if there is one.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Worker processes of a service of its own.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Measure latency, throughput and CPU of the running service, or of one of its own.

    It loads the service as fully as it can: not at a busy hour.
    """
    result = run(Home.from_env(), quick=quick, own=own, workers=workers)
    if as_json:
        say_json(result)
    else:
        show(result)


def run(home: Home, *, quick: bool = False, own: bool = False, workers: int = 1) -> dict[str, Any]:
    """Measure; the result has the form of docs/cli.md.

    Args:
        home: the installation; where it has no settings, and neither has the environment, a service
            is started for the measurement, as with `own`.

    Raises:
        ServiceError: the installation does not answer.
        CommandError: a service of its own did not start.
        ConfigurationError: a setting is wrong, or some are missing.
    """
    from caas_cli import bench

    scale = bench.QUICK if quick else bench.FULL
    is_there = home.client_env.exists() or any(os.environ.get(name) for name in _SETTINGS)
    if own or not is_there:
        return _own(scale, workers)
    access = bench.Access(*(client_env.setting(home.client_env, name) for name in _SETTINGS))
    return _measure(access, scale, is_own=False)


def _measure(access: Access, scale: Scale, *, is_own: bool) -> dict[str, Any]:
    from caas_cli import bench

    return bench.Bench(access, scale, lambda part: warn(f"measuring: {part}")).run(is_own=is_own)


def _own(scale: Scale, workers: int) -> dict[str, Any]:
    from caas_cli import bench, up
    from caas_cli.init import InitRequest, init

    results: list[dict[str, Any]] = []

    async def when_ready(running: Running) -> ExitCode:
        access = bench.Access(running.broker_url, running.api_key, running.server_key)
        results.append(await asyncio.to_thread(_measure, access, scale, is_own=True))
        return ExitCode.OK

    # The service of its own has nothing of the environment's installation, its broker least of all.
    kept = {name: os.environ.pop(name) for name in _OF_AN_INSTALLATION if name in os.environ}
    try:
        with tempfile.TemporaryDirectory(prefix="caas-bench-") as folder:
            path = Path(folder)
            home = Home(path, path / "keystore.age", path / "identity.txt")
            home.make()
            init(home, InitRequest())
            up.up(home, up.UpOptions(host=_LOCALHOST, port=0, workers=workers), when_ready)
    finally:
        os.environ.update(kept)
    if not results:
        raise CommandError("stopped before the end", ExitCode.NEGATIVE)
    return results[0]


def show(result: dict[str, Any]) -> None:
    """Tables for people."""
    say(f"\n{_where(result)}\n")
    columns = ("what", "calls/s", "p50 ms", "p90", "p99", "client us", "worker us", "broker us")
    say_table(columns, [_row(name, taken) for name, taken in _measurements(result)])
    say("\nCPU is in microseconds a call.")
    failed = sum(taken.get("failed", 0) for _, taken in _measurements(result))
    if failed:
        warn(f"{failed} calls failed")


def _where(result: dict[str, Any]) -> str:
    machine, service = result["machine"], result["service"]
    whose = "a service of its own" if service["is_own"] else "the running service"
    return (
        f"{whose}, {service['workers'] or 'an unknown number of'} workers;"
        f" client on {machine['cores']} cores, {machine['processor']}"
    )


def _measurements(result: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = [
        (f"{_callers(taken['callers'])}, {taken['mode']}", taken) for taken in result["throughput"]
    ]
    found.append(("encrypt_many, items", result["encrypt_many"]))
    for taken in result["payloads"]:
        found.append((f"{taken['bytes']:,} bytes, 1 caller", taken["alone"]))
        found.append((f"{taken['bytes']:,} bytes, 64 callers", taken["callers_64"]))
    if result["passwords"]:
        found.append(
            (f"{_callers(result['passwords']['callers'])}, passwords", result["passwords"])
        )
    return found


def _callers(count: int) -> str:
    return "1 caller" if count == 1 else f"{count} callers"


def _row(name: str, taken: dict[str, Any]) -> list[str]:
    times = [_cell(taken.get(f"p{part}_ms"), ".2f") for part in (50, 90, 99)]
    costs = [_cell(taken[f"{side}_cpu_us"], ",.0f") for side in ("client", "worker", "broker")]
    return [name, _cell(taken["per_s"], ",.0f"), *times, *costs]


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
