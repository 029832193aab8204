"""Runs services of docker-compose.yml natively: command, environment, secrets and healthcheck.

Read from the file and, for what an image sets, from the Dockerfile. What only containers have gets
a stand-in: `/run/secrets` is a folder with this service's own secrets, a mounted folder is its
source, `/tmp` a folder of the instance's own, a container's port a free port of the loopback
interface, and the name `redis` is `localhost`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import yaml
from rig.process import PROJECT, LoggedProcess, environment

from ops_rig.servers import free_port

VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
ENV_LINE: Final = re.compile(r"([A-Z_]+)=(\S+)")
CAAS: Final = (sys.executable, "-P", "-m", "caas_cli")


def read_env(path: Path) -> dict[str, str]:
    """An `.env` file."""
    lines = (
        line.partition("=") for line in path.read_text().splitlines() if line and line[0] != "#"
    )
    return {name: value for name, _, value in lines}


def image_environment(target: str) -> dict[str, str]:
    """What the Dockerfile sets for a target, `CAAS_` variables alone."""
    stages = re.split(r"^FROM ", (PROJECT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: dict[str, str] = {}
    for stage in stages:
        if stage.partition("\n")[0].endswith((" AS base", f" AS {target}")):
            for block in re.findall(r"^ENV ((?:.*\\\n)*.*)$", stage, re.MULTILINE):
                found |= dict(ENV_LINE.findall(block))
    return {name: value for name, value in found.items() if name.startswith("CAAS_")}


@dataclass
class Instance:
    """One running container's stand-in."""

    service: str
    process: LoggedProcess
    _healthcheck: list[str]
    _env: dict[str, str | None]

    def is_healthy(self) -> bool:
        """What its healthcheck says."""
        done = subprocess.run(
            self._healthcheck,
            env=environment(self._env),
            cwd=PROJECT,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return done.returncode == 0

    def wait_until_healthy(self, tries: int = 200) -> None:
        """Ask the healthcheck until it agrees, as Docker does."""
        for _ in range(tries):
            if self.is_healthy():
                return
            assert self.process.is_running, self.process.log
            time.sleep(0.1)  # between two checks, as Docker waits
        raise AssertionError(f"{self.service} did not get healthy:\n{self.process.log}")


class Compose:
    """The services of the project's docker-compose.yml.

    Args:
        folder: where `caas init --compose` was run.
    """

    def __init__(self, folder: Path) -> None:
        self._exits = ExitStack()
        self._folder = folder
        self._variables = read_env(folder / ".env")
        self.file: dict[str, Any] = self._resolved(
            yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
        )
        self.ports: dict[str, int] = {}
        self._count = 0

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._resolved(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._resolved(item) for item in value]
        return VARIABLE.sub(self._variable, value) if isinstance(value, str) else value

    def _variable(self, match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        assert name in self._variables or kind == "-", f"{name} is not set"
        return self._variables.get(name, default)

    def start(self, name: str) -> Instance:
        """Start one instance of a service, once those that it needs to be healthy are."""
        service = self.file["services"][name]
        self._count += 1
        own = self._folder / f"instance-{self._count}-{name}"
        for part in ("secrets", "tmp"):
            (own / part).mkdir(parents=True)
        self._copy_secrets(service, own / "secrets")
        places = self._places(service, own)
        is_ours = str(service["image"]).startswith("caas-")
        target = str(service["image"]).removeprefix("caas-")
        given = {**(image_environment(target) if is_ours else {}), **service.get("environment", {})}
        env: dict[str, str | None] = {
            key: self._place(str(value), places) for key, value in given.items()
        }
        if is_ours:
            env["CAAS_SECRETS_DIR"] = str(own / "secrets")
        if "CAAS_METRICS_PORT" in env:
            env["CAAS_METRICS_PORT"] = str(free_port())  # each container has its own
        command = [self._place(part, places) for part in service["command"]]
        argv = [*CAAS, *command] if is_ours else self._program(name, command)
        kind, *check = service["healthcheck"]["test"]
        check = [self._place(part.replace("$$", "$"), places) for part in check]
        if kind == "CMD-SHELL":
            check = ["sh", "-c", *check]
        elif check[0] == "caas":
            check = [*CAAS, *check[1:]]
        process = LoggedProcess(argv, env)
        self._exits.callback(process.stop)
        return Instance(name, process, check, env)

    def _program(self, name: str, command: list[str]) -> list[str]:
        return [name, *command] if name == "prometheus" else command

    def _copy_secrets(self, service: dict[str, Any], folder: Path) -> None:
        for entry in service.get("secrets", []):
            source = entry["source"] if isinstance(entry, dict) else entry
            target = entry["target"] if isinstance(entry, dict) else entry
            content = Path(self.file["secrets"][source]["file"]).read_text()
            content = content.replace("@redis:6379", f"@localhost:{self.port('redis')}")
            (folder / target).write_text(content)

    def port(self, name: str) -> int:
        """The loopback port that stands for a service's own."""
        return self.ports.setdefault(name, free_port())

    def _places(self, service: dict[str, Any], own: Path) -> list[tuple[str, str]]:
        mounts = [
            (volume["target"], str((PROJECT / volume["source"]).resolve()))
            for volume in service.get("volumes", [])
        ]
        return [
            ("/run/secrets", str(own / "secrets")),
            *mounts,
            ("/tmp/", f"{own / 'tmp'}/"),  # noqa: S108 - a container's
            ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - a container's
            *((str(number), str(self.port(name))) for name, number in PORTS.items()),
        ]

    @staticmethod
    def _place(text: str, places: list[tuple[str, str]]) -> str:
        # In one pass, so that nothing is put into what was put in before.
        known = dict(places)
        pattern = "|".join(re.escape(place) for place, _ in places)
        return re.sub(rf"(?<![\w.])(?:{pattern})(?![\w.]*\d)", lambda m: known[m.group()], text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._exits.close()


PORTS: Final = {"redis": 6379, "gateway": 8000, "flower": 5555, "prometheus": 9090}
