"""`caas worker`, `caas gateway` and `caas up`: what they start, and what keeps them from it."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from caas_cli import gateway_command, up, worker_command
from caas_cli.exit_codes import CommandError, ExitCode, UsageError
from caas_cli.home import Home
from caas_cli.up import Running, UpOptions
from caas_tasks.names import Lane


def worker_arguments(home: Home, monkeypatch: pytest.MonkeyPatch, *options: str) -> list[str]:
    """What Celery is given."""
    given: list[str] = []
    monkeypatch.setattr(worker_command, "_celery", lambda arguments: given.extend(arguments) or 0)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    worker_command.run(home, (), options)
    return given


def test_callers_options_come_last(made: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery takes the last of two: the caller's."""
    assert worker_arguments(made, monkeypatch, "-Q", "caas.bulk")[-2:] == ["-Q", "caas.bulk"]


def test_quiet_goes_before_the_command(made: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--quiet` is an option of `celery` itself."""
    assert worker_arguments(made, monkeypatch, "--quiet")[0] == "--quiet"


def options(*lanes: Lane) -> list[str]:
    """What a worker of some lanes gets."""
    return worker_command.default_options("INFO", lanes or worker_command.DEFAULT_LANES, threads=3)


def test_two_workers_have_two_names() -> None:
    """Control messages reach the worker that they are for."""
    assert options() != options()


def test_a_worker_of_no_lane_serves_what_is_quick_and_bulk() -> None:
    """One thread, since an operation takes microseconds."""
    assert worker_command.lanes_of([]) == (Lane.FAST, Lane.BULK)
    assert {"--pool=solo", "--concurrency=1", "--queues=caas.fast,caas.bulk"} <= set(options())


def test_a_password_worker_has_threads() -> None:
    """As many as it is told."""
    expected = {"--pool=threads", "--concurrency=3", "--queues=caas.password"}
    assert expected <= set(options(Lane.PASSWORD))


def test_lanes_are_named() -> None:
    """Each once, in the order given."""
    assert worker_command.lanes_of(["bulk", "fast", "bulk"]) == (Lane.BULK, Lane.FAST)


@pytest.mark.parametrize("other", ["fast", "bulk"])
def test_passwords_share_no_worker(other: str) -> None:
    """A quick call would wait behind a slow one."""
    with pytest.raises(UsageError):
        worker_command.lanes_of(["password", other])


@pytest.mark.parametrize(
    ("memory_kib", "cores", "threads"),
    [(8, 4, 1), (65_536, 4, 1), (131_072, 4, 2), (524_288, 4, 4), (524_288, 1, 1)],
)
def test_passwords_at_once(
    monkeypatch: pytest.MonkeyPatch, memory_kib: int, cores: int, threads: int
) -> None:
    """As many as cores and memory allow, and at least one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cores)))
    assert worker_command.password_threads(memory_kib) == threads


def test_unknown_option_of_a_worker_is_a_usage_error(
    made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery's own complaint becomes one line."""
    celery = pytest.importorskip("celery.bin.celery")
    assert celery is not None
    with pytest.raises(UsageError):
        worker_command._celery(["worker", "--no-such-option"])


def test_worker_needs_a_broker(run: Any) -> None:
    """Neither set nor in client.env: one line names the setting."""
    done = run("worker")
    assert (done.exit_code, done.stderr) == (
        ExitCode.CONFIGURATION,
        "caas: CAAS_BROKER_URL: is not set.\n",
    )


def test_gateway_needs_a_server_key(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the service's public key there is nothing to seal to."""
    monkeypatch.setenv("CAAS_BROKER_URL", "redis://127.0.0.1:1/0")
    done = run("gateway")
    told = (done.exit_code, done.stderr.startswith("caas: CAAS_SERVER_KEY: "))
    assert told == (ExitCode.CONFIGURATION, True)


@pytest.mark.parametrize("port", [1, 65_536])
def test_port_that_can_not_be_listened_on_is_told(port: int) -> None:
    """A taken or impossible port is one line with its exit code."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1] if port == 1 else port
        with pytest.raises(CommandError) as raised:
            gateway_command.listen("127.0.0.1", wanted)
    assert raised.value.exit_code == ExitCode.UNAVAILABLE


def test_descriptor_that_is_no_socket_is_refused() -> None:
    """`--listen-fd` is for the supervisor; anything else is a usage error."""
    with pytest.raises(UsageError):
        gateway_command._inherited(1_000_000)


@pytest.mark.parametrize(
    ("host", "port", "chosen"),
    [(None, None, ("127.0.0.9", 8123)), ("::1", 0, ("::1", 0))],
)
def test_option_wins_over_the_environment(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    host: str | None,
    port: int | None,
    chosen: tuple[str, int],
) -> None:
    """Where to listen is what was given, else what the environment says."""
    monkeypatch.setenv("CAAS_GATEWAY_HOST", "127.0.0.9")
    monkeypatch.setenv("CAAS_GATEWAY_PORT", "8123")
    assert gateway_command.listen_settings(host, port) == chosen


@pytest.fixture
def running(home: Home) -> Running:
    return Running(
        home, "127.0.0.1", 8000, "redis://:secret@127.0.0.1/0", "caaspub1.x", "caas_secret"
    )


def test_running_service_shows_no_secret(running: Running) -> None:
    """Neither the API key nor the broker's password is in a repr."""
    assert "secret" not in repr(running)


def test_parts_get_no_api_key(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers send theirs: a worker or gateway never sees the operator's."""
    monkeypatch.setenv("CAAS_API_KEY", "caas_secret")
    assert "CAAS_API_KEY" not in up._environment(running)


def test_as_many_workers_as_asked_for(running: Running) -> None:
    """`--workers` starts that many processes, one for passwords, and one gateway."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        parts = up._service_parts(running, UpOptions("127.0.0.1", 0, workers=3), listener)
    names = [part.name for part in parts]
    assert names == ["worker-1", "worker-2", "worker-3", "passwords", "gateway"]


def test_curl_line_survives_the_shell(running: Running) -> None:
    """The request's body is one word of the shell."""
    import shlex

    words = shlex.split(up.curl(running))
    assert (words[0], '"apiKey": "caas_secret"' in words[-1]) == ("curl", True)


def test_up_refuses_a_damaged_keystore(made: Home, run: Any) -> None:
    """Nothing is started on a keystore that doesn't open."""
    made.keystore.write_bytes(b"damaged")
    assert run("up", "--port", "0").exit_code == ExitCode.CONFIGURATION


def test_up_is_refused_while_another_runs(made: Home, run: Any) -> None:
    """The home's lock is held by one process."""
    with made.locked("up"):
        done = run("up", "--port", "0")
    assert (done.exit_code, "already running" in done.stderr) == (ExitCode.UNAVAILABLE, True)
