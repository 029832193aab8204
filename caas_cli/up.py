"""`caas up`: the whole service on one machine, supervised until it is stopped."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caas_cli import (
    broker,
    client_env,
    gateway_command,
    http_probe,
    up_metrics,
    worker_command,
)
from caas_cli.exit_codes import CommandError, ExitCode
from caas_cli.home import Home
from caas_cli.init import InitRequest, finish_interrupted, init
from caas_cli.log import Log
from caas_cli.output import say, warn
from caas_cli.supervisor import SUPERVISOR, Part, Supervisor
from caas_tasks.settings import read_brokers
from worker.keystore import change, file

READY_TIMEOUT_S: Final = 30.0
PROBE_TIMEOUT_S: Final = 5.0
PROBE_PAUSE_S: Final = 0.05
EXAMPLE_UUID: Final = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
EXAMPLE_DATA: Final = "example sensitive data"


AUDIT_DIR: Final = "CAAS_AUDIT_DIR"


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the operator asked for.

    Attributes:
        port: where the gateway listens; 0 takes a free one.
        keeps_url: leave the gateway's address in client.env as it is.
    """

    host: str
    port: int
    workers: int = 1
    keeps_url: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A service that answers; `repr` shows no secret."""

    home: Home
    host: str
    port: int
    broker_url: str = field(repr=False)
    server_key: str = field(repr=False)
    api_key: str = field(repr=False)

    @property
    def url(self) -> str:
        """The gateway's address."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{name}:{self.port}"

    def example(self) -> dict[str, str]:
        """The example request's body, with this installation's API key."""
        return {
            "apiKey": self.api_key,
            "userUUID": EXAMPLE_UUID,
            "sensitiveData": EXAMPLE_DATA,
        }


WhenReady = Callable[[Running], Awaitable[ExitCode | None]]


def up(home: Home, options: UpOptions, when_ready: WhenReady) -> ExitCode:
    """Run the service until a signal comes, or until `when_ready` returns an exit code.

    Raises:
        CommandError: the port is taken, another `up` runs here, or the service did not get ready.
        ConfigurationError: the keystore or a setting is missing or wrong.
    """
    home.make()
    with home.locked("up"):
        finish_interrupted(home)
        if not home.keystore.exists():
            made = init(home, InitRequest())
            warn(f"Made a new installation in {home.folder} (tenant {made.tenant}).")
            warn(f"Move {home.recovery_identity} off this machine; it opens the keystore.")
        with gateway_command.listen(options.host, options.port) as listener:
            running, parts = _plan(home, options, listener)
            return asyncio.run(_serve(running, parts, when_ready))


def _plan(home: Home, options: UpOptions, listener: socket.socket) -> tuple[Running, list[Part]]:
    keystore = file.load(home.keystore, file.load_identities(home.identity))
    server_key = change.public_key(keystore).to_text()
    parts = []
    broker_url = os.environ.get(client_env.BROKER_URL, "")
    if not broker_url:
        address = broker.prepare(home)
        broker_url = address.url
        command = broker.command(home, address)
        hidden = broker.HIDDEN_LOG_TEXT
        parts.append(Part("broker", command, dict(os.environ), stop_order=2, hidden=hidden))
    running = Running(
        home=home,
        host=http_probe.reachable(options.host),
        port=listener.getsockname()[1],
        broker_url=broker_url,
        server_key=server_key,
        api_key=_api_key(home),
    )
    changes = {client_env.BROKER_URL: broker_url, client_env.SERVER_KEY: server_key}
    if not options.keeps_url:
        changes[client_env.GATEWAY_URL] = running.url
    if home.client_env.exists():
        client_env.write_changed(home.client_env, changes)
    return running, parts + _service_parts(running, options, listener)


def _api_key(home: Home) -> str:
    return client_env.read(home.client_env).get(client_env.API_KEY, "") or os.environ.get(
        client_env.API_KEY, ""
    )


def _service_parts(running: Running, options: UpOptions, listener: socket.socket) -> list[Part]:
    of_workers, of_gateway = up_metrics.environments(running.home, _environment(running))
    # -P keeps modules of the working folder out; PYTHONPATH names where this package is.
    python = [sys.executable, "-P", "-m", "caas_cli"]
    brokers = len(read_brokers(running.broker_url))
    worker = [*python, "worker", worker_command.QUIET]
    gateway = [*python, "gateway", "--listen-fd", str(listener.fileno())]
    return [
        *(
            Part(f"worker-{n + 1}", worker, _at(of_workers, n, brokers), stop_order=1)
            for n in range(max(options.workers, brokers))
        ),
        *(
            Part(
                "passwords" if brokers == 1 else f"passwords-{n + 1}",
                [*worker, "--lane=password"],
                _at(of_workers, n, brokers),
                stop_order=1,
            )
            for n in range(brokers)
        ),
        Part("gateway", gateway, of_gateway, stop_order=0, pass_fds=(listener.fileno(),)),
    ]


def _at(environment: dict[str, str], number: int, brokers: int) -> dict[str, str]:
    """A worker's environment, with the broker that it serves where there are several."""
    if brokers == 1:
        return environment
    return {**environment, "CAAS_BROKER_INDEX": str(number % brokers)}


def _environment(running: Running) -> dict[str, str]:
    source = str(Path(__file__).parent.parent)
    found = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{source}{os.pathsep}{found}" if found else source,
        "PYTHONUNBUFFERED": "1",
        "CAAS_HOME": str(running.home.folder),
        "CAAS_KEYSTORE": str(running.home.keystore),
        "CAAS_IDENTITY": str(running.home.identity),
        client_env.BROKER_URL: running.broker_url,
        client_env.SERVER_KEY: running.server_key,
    }
    environment.setdefault(AUDIT_DIR, str(running.home.audit_folder))
    # Callers send theirs with each request; neither worker nor gateway has any use for one.
    environment.pop(client_env.API_KEY, None)
    # HTTPS is for a gateway that leaves the machine; `up` looks after its own over plain HTTP.
    for name in ("CAAS_GATEWAY_TLS_CERT", "CAAS_GATEWAY_TLS_KEY"):
        environment.pop(name, None)
    return environment


async def _serve(running: Running, parts: list[Part], when_ready: WhenReady) -> ExitCode:
    stop, hurry = _on_signals()
    log = Log([SUPERVISOR, *(part.name for part in parts)])
    supervisor = Supervisor(parts, log)
    supervisor.start()
    work = asyncio.create_task(_work(running, supervisor, when_ready))
    waits = [asyncio.create_task(event.wait()) for event in (stop, supervisor.refused)]
    try:
        await asyncio.wait([work, *waits], return_when=asyncio.FIRST_COMPLETED)
        if supervisor.refused.is_set():
            raise CommandError(
                "a part refused to start, see its line above", ExitCode.CONFIGURATION
            )
        return work.result() if work.done() else ExitCode.OK
    finally:
        for task in (work, *waits):
            task.cancel()
        log.line(SUPERVISOR, "stopping")
        await supervisor.stop(hurry)
        log.line(SUPERVISOR, "stopped")


def _on_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Two events: the first signal sets the first, another one the second."""
    stop, hurry = asyncio.Event(), asyncio.Event()

    def handle() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, handle)
    return stop, hurry


async def _work(running: Running, supervisor: Supervisor, when_ready: WhenReady) -> ExitCode:
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            await _until_ready(running)
    except TimeoutError:
        is_ready = False
    else:
        is_ready = True
    if not is_ready:
        raise CommandError(
            f"not ready after {READY_TIMEOUT_S:g} s, see the log above", ExitCode.UNAVAILABLE
        )
    supervisor.ready()
    code = await when_ready(running)
    if code is None:
        await asyncio.Event().wait()
    return code or ExitCode.OK


async def _until_ready(running: Running) -> None:
    while True:
        answer = await http_probe.request(
            running.host, running.port, "/readyz", None, PROBE_TIMEOUT_S
        )
        if answer is not None and answer.is_ok:
            return
        await asyncio.sleep(PROBE_PAUSE_S)


async def announce(running: Running) -> None:
    """Show where the service is and, with this installation's API key, that it answers."""
    say(f"\nCaaS is ready: {running.url}")
    say(f"  documentation  {running.url}/docs")
    say(f"  for a client   {running.home.client_env}")
    if not running.api_key:
        say("No API key in client.env; make one: caas apikey create\n")
        return
    body = running.example()
    answer = await http_probe.request(running.host, running.port, "/encrypt", body, PROBE_TIMEOUT_S)
    say(f'\nThe example request: "{EXAMPLE_DATA}" of user {EXAMPLE_UUID}')
    if answer is not None and answer.is_ok:
        say(f"  encrypted_data {answer.body.get('encrypted_data')}")
    else:
        say(f"  failed: {problem_of(answer)}")
    say("\nAsk it yourself:\n")
    say(f"{curl(running)}\n")
    say("Ctrl-C stops everything.\n")


def problem_of(answer: http_probe.HttpAnswer | None) -> str:
    """One line on an HTTP answer that is not a success."""
    if answer is None:
        return "no answer from the gateway"
    return f"HTTP {answer.status} {answer.body.get('code', '')}".strip()


def curl(running: Running) -> str:
    """A command that sends the example request; it works when pasted into a shell."""
    body = json.dumps(running.example())
    return (
        f"curl -s {running.url}/encrypt -H 'Content-Type: application/json' -d {shlex.quote(body)}"
    )
