"""`caas capacity`: from a target to machines, by figures measured here or kept before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caas_cli.exit_codes import UsageError
from caas_cli.home import Home
from caas_cli.options import Json
from caas_cli.output import say, say_fields, say_json

if TYPE_CHECKING:
    from caas_cli.capacity import Figures, Plan

app = typer.Typer()


@app.command(
    "capacity", epilog="Example: caas capacity --calls-per-s 5000 --password-share 0.02 --p99-ms 10"
)
def capacity_command(
    calls_per_s: Annotated[float, typer.Option(help="Calls a second in the busiest minute.")],
    password_share: Annotated[
        float, typer.Option(help="Part of them that hash or verify a password, 0 to 1.")
    ] = 0.0,
    p99_ms: Annotated[
        float, typer.Option(help="What 99 of 100 other calls must stay under, in milliseconds.")
    ] = 10.0,
    figures: Annotated[
        Path | None,
        typer.Option(help="What `caas bench --json` wrote, instead of measuring now."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how many workers, brokers and how much memory a target needs (docs/capacity.md)."""
    from caas_cli import bench_commands
    from caas_cli.capacity import Target, plan

    target = Target(calls_per_s, password_share, p99_ms)  # refused before anything is measured
    measured = (
        bench_commands.run(Home.from_env(), quick=True) if figures is None else _load(figures)
    )
    known = read_figures(measured)
    made = plan(target, known)
    if as_json:
        say_json({"figures": measured["figures"], "plan": made.to_dict()})
    else:
        show(made, known)


def _load(path: Path) -> Any:
    from pydantic_core import from_json

    problem = ""
    measured: Any = None
    try:
        measured = from_json(path.read_bytes())
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except ValueError:
        problem = "is not JSON"
    if problem:
        raise UsageError(f"{path}: {problem}")
    return measured


def read_figures(measured: Any) -> Figures:
    """The figures in what `caas bench --json` gives.

    Raises:
        UsageError: another form, or one of them could not be measured there.
    """
    from dataclasses import fields

    from caas_cli.bench import FORMAT
    from caas_cli.capacity import Figures

    if not isinstance(measured, dict) or measured.get("format") != FORMAT:
        raise UsageError(f"these are not figures in the form {FORMAT}")
    found = measured.get("figures")
    names = [field.name for field in fields(Figures)]
    values: dict[str, Any] = dict(found) if isinstance(found, dict) else {}
    missing = [name for name in names if not _is_number(values.get(name))]
    if missing:
        raise UsageError(f"not measured there: {', '.join(missing)}")
    return Figures(**{name: values[name] for name in names})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def show(made: Plan, known: Figures) -> None:
    """The plan for people."""
    say_fields(
        {
            "fast workers": f"{made.fast_workers:,} ({made.fast_utilisation:.0%} busy)",
            "p99 of fast calls": f"{made.fast_p99_ms:.1f} ms expected",
            "password workers": (
                f"{made.password_cores:,} cores ({made.password_utilisation:.0%} busy), "
                f"{made.password_concurrency:,} hashes at once"
            ),
            "memory of workers": f"{made.worker_memory_mib:,} MiB",
            "brokers": f"{made.brokers:,} ({made.broker_utilisation:.0%} of a core each)",
            "memory of a broker": f"{made.broker_memory_mib:,} MiB of waiting messages",
        }
    )
    say(
        f"\nBy a lone call of {known.lone_call_ms:.2f} ms, which costs a worker "
        f"{known.worker_us:.0f} us and the broker {known.broker_us:.0f} us, and "
        f"{known.password_cpu_ms:.0f} ms a hash."
    )
    say("Add spare for the loss of a machine. docs/capacity.md says where the model ends.")
