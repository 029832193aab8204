"""`caas worker`: a Celery worker with the pool and the settings that this service wants.

Solo: an operation takes microseconds, so handing it to a pool's process costs more than running it;
one host runs several such workers instead. Passwords have a worker of their own, with threads:
Argon2 lets go of the interpreter, and as many run at once as cores and memory allow, at a lower
priority than what is quick. Gossip and mingle are off: nothing uses them, and each costs the broker
messages. Events of tasks are off until someone asks for them, as Flower does. SIGTERM finishes the
running task, then ends.
"""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Sequence
from typing import Final

from caas_cli import client_env
from caas_cli.exit_codes import CommandError, ExitCode, UsageError
from caas_cli.home import Home
from caas_tasks.names import Lane
from caas_tasks.stored_forms import DEFAULT_ARGON2_PROFILE, PASSWORD_PROFILES

QUIET: Final = "--quiet"
DEFAULT_LANES: Final = (Lane.FAST, Lane.BULK)
_COMMAND: Final = ("-A", "worker.celery", "worker")


def default_options(log_level: str, lanes: Sequence[Lane], threads: int) -> list[str]:
    """What the worker gets before the caller's own options, which win where both say something.

    Args:
        threads: of a password worker.
    """
    is_password = Lane.PASSWORD in lanes
    return [
        "--pool=threads" if is_password else "--pool=solo",
        f"--concurrency={threads if is_password else 1}",
        f"--queues={','.join(lane.value for lane in lanes)}",
        # A message taken and not yet run would be lost if the worker died: take one at a time.
        "--prefetch-multiplier=1",
        "--without-gossip",
        "--without-mingle",
        # Rare, yet there: without heartbeats Celery would not let Flower switch events on at all.
        "--heartbeat-interval=10",
        # Two workers of one name would answer each other's control messages.
        f"--hostname=caas-{os.getpid()}-{secrets.token_hex(3)}@%h",
        f"--loglevel={log_level}",
    ]


def lanes_of(names: Sequence[str]) -> tuple[Lane, ...]:
    """The lanes that a worker is to serve: those named, or all that share a pool.

    Raises:
        UsageError: the password lane and another one.
    """
    lanes = tuple(dict.fromkeys(Lane[name.upper()] for name in names)) or DEFAULT_LANES
    if Lane.PASSWORD in lanes and len(lanes) > 1:
        raise UsageError("the password lane has a worker of its own: start one for it alone")
    return lanes


def password_threads(memory_kib: int) -> int:
    """How many passwords to hash at once: as many as there are cores, and memory allows.

    Args:
        memory_kib: for all of them together.
    """
    each_kib = PASSWORD_PROFILES[DEFAULT_ARGON2_PROFILE].memory_kib
    return max(1, min(len(os.sched_getaffinity(0)), memory_kib // each_kib))


def run(home: Home, lane_names: Sequence[str], options: Sequence[str]) -> int:
    """Run a worker until it is stopped; its exit code.

    Args:
        lane_names: `fast`, `password` or `bulk`; none means fast and bulk.
        options: Celery's own, such as `-Q`; `--quiet` leaves the banner out.

    Raises:
        ConfigurationError: a setting is missing or wrong.
        UsageError: an option that Celery doesn't know, or lanes that can't share a worker.
    """
    lanes = lanes_of(lane_names)
    os.environ.setdefault("CAAS_KEYSTORE", str(home.keystore))
    os.environ.setdefault("CAAS_IDENTITY", str(home.identity))
    client_env.fill_environment(home.client_env, client_env.BROKER_URL)
    from caas_tasks.settings import load_settings
    from worker.settings import WorkerSettings

    settings = load_settings(WorkerSettings)
    own = [option for option in options if option != QUIET]
    quiet = [QUIET] if len(own) < len(options) else []
    if quiet:
        # A supervised worker's log is read with others': no banner, no page about running as root.
        warnings.filterwarnings("ignore", message="You're running the worker with superuser")
    threads = password_threads(settings.password_memory_kib)
    defaults = default_options(settings.log_level, lanes, threads)
    return _celery([*quiet, *_COMMAND, *defaults, *own])


def _celery(arguments: list[str]) -> int:
    import click
    from celery.bin.celery import celery

    problem = ""
    code = 0
    try:
        # What the `celery` program runs; unlike it, the worker's own exit code is kept.
        code = celery.main(args=arguments, prog_name="caas", standalone_mode=False) or 0
    except click.UsageError as error:
        problem = error.format_message()
    except click.ClickException as error:
        raise CommandError(error.format_message(), ExitCode.CONFIGURATION) from None
    if problem:
        raise UsageError(problem)
    return code
