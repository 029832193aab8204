"""docs/operations.md, section by section: its commands run by bash in an installation's folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import pyrage
from rig.process import DEADLINE_S, PROJECT, LoggedProcess, environment
from rig.stack import Broker

from caas_cli import api_keys, client_env
from caas_cli.home import Home
from caas_cli.init import InitRequest, init
from caas_tasks.messages import parse_item
from caas_tasks.names import Operation
from producer_client import Client, ServiceError
from worker.keyring import Keyring
from worker.keystore import file
from worker.keystore.document import Keystore
from worker.keystore.errors import KeystoreError
from worker.operations.execute import execute
from worker.operations.means import Means

GUIDE: Final = PROJECT / "docs" / "operations.md"
_HEADING: Final = re.compile(r"^## (.*)$", re.MULTILINE)
_BLOCK: Final = re.compile(r"^ *```console\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_COMMAND: Final = re.compile(r"^ *\$ (.*)$", re.MULTILINE)
_PLACEHOLDER: Final = re.compile(r"\b[A-Z]{2,}(?:-[A-Z]{2,})*\b")
_READY: Final = {
    "worker": "ready.",
    "gateway": "Application startup complete",
    "up": "Ctrl-C stops",
}
_STAYS: Final = re.compile(r"^((?:[A-Z_]+=\S+ )*)caas (\w+)(.*) &$")


def sections() -> dict[str, list[list[str]]]:
    """The commands of each heading's blocks; headings without any are left out."""
    _, *parts = _HEADING.split(GUIDE.read_text(encoding="utf-8"))
    found = {
        heading: [_COMMAND.findall(block) for block in _BLOCK.findall(text)]
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }
    return {heading: blocks for heading, blocks in found.items() if blocks}


def commands_of_all() -> list[str]:
    """Every line that begins with `$`, wherever it stands."""
    return _COMMAND.findall(GUIDE.read_text(encoding="utf-8"))


class Scene:
    """A folder with an installation in `.caas`, and a broker that its commands find.

    Args:
        section: whose commands are run.

    Attributes:
        names: what the words in capitals stand for.
    """

    def __init__(self, folder: Path, section: str) -> None:
        self.folder = folder
        self.names: dict[str, str] = {}
        self.home = Home(
            folder / ".caas", folder / ".caas/keystore.age", folder / ".caas/identity.txt"
        )
        self.recovery = folder / "safe" / "recovery.txt"
        self.recovery.parent.mkdir()
        self.names["RECOVERY-IDENTITY"] = str(self.recovery)
        self.names["AGE-RECIPIENT"] = new_identity(self.recovery)
        self.names["NEW-RECOVERY-RECIPIENT"] = new_identity(folder / "safe" / "new.txt")
        self._exits = ExitStack()
        self._blocks: Iterator[list[str]] = iter(sections()[section])
        self.env: dict[str, str | None] = {"CAAS_LOG_LEVEL": "INFO"}
        self.running: list[LoggedProcess] = []

    def start_broker(self, name: str = "broker") -> Broker:
        """A broker; the first is where the section's commands go."""
        (self.folder / name).mkdir()
        broker = Broker(self.folder / name, keeps_data=True)
        self._exits.callback(broker.stop)
        self.env.setdefault(client_env.BROKER_URL, broker.url)
        return broker

    def install(self) -> str:
        """An installation without its recovery identity; its API key."""
        made = init(self.home, InitRequest(recovery_recipient=self.names["AGE-RECIPIENT"]))
        (key,) = self.keystore().api_keys
        self.names["API-KEY-ID"] = key.key_id
        self.first_server_key = made.client[client_env.SERVER_KEY]
        self.names["SERVICE-KEY-ID"] = self.keystore().service_keys[0].key_id
        if url := self.env.get(client_env.BROKER_URL):
            client_env.write_changed(self.home.client_env, {client_env.BROKER_URL: url})
        return made.client[client_env.API_KEY]

    def copy_home(self, name: str) -> Path:
        """A worker's host: a copy of the two files that it needs."""
        other = self.folder / name
        other.mkdir(mode=0o700)
        for path in (self.home.keystore, self.home.identity):
            shutil.copy(path, other)
        return other

    def hand_out(self, api_key: str, server_key: str) -> None:
        """Put other keys into client.env."""
        changes = {client_env.API_KEY: api_key, client_env.SERVER_KEY: server_key}
        client_env.write_changed(self.home.client_env, changes)

    def make_api_key(self) -> str:
        """One more API key that may do everything."""
        return api_keys.create(self.home, None, (), None).text

    def own_recipient(self) -> str:
        """Of the installation's identity."""
        return str(file.load_identities(self.home.identity)[0].to_public())

    def computed(self, user: str, data: str) -> str:
        """What `encrypt` gives, computed here with the same keys and no broker between."""
        item = parse_item(Operation.ENCRYPT, {"userUUID": user, "sensitiveData": data})
        (tenant,) = self.keystore().tenants
        view = Keyring(self.keystore()).tenant(tenant.name)
        return str(execute(Operation.ENCRYPT, view, item, Means(os.urandom))["encrypted_data"])

    def start_worker(self, home: Path | None = None) -> LoggedProcess:
        """A worker of the fast and bulk lanes; with its own copy of the files if it has a home."""
        prefix = f"CAAS_HOME={home} " if home else ""
        return self.start(f"{prefix}CAAS_AUDIT_DIR={self.audit_folder()} caas worker &")

    def audit_folder(self) -> Path:
        self.home.audit_folder.mkdir(mode=0o700, exist_ok=True)
        return self.home.audit_folder

    def block(self) -> list[str]:
        """Run the section's next block; what each command wrote to standard output."""
        return [self.run(command) for command in next(self._blocks)]

    def run(self, command: str) -> str:
        """One command, with its words in capitals replaced; it must succeed."""
        command = _PLACEHOLDER.sub(lambda word: self.names[word[0]], command)
        if _STAYS.match(command):
            self.start(command)
            return ""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, command: str) -> LoggedProcess:
        """A part that stays, once it is ready."""
        found = _STAYS.match(command)
        assert found, command
        line = f"cd {self.folder} && exec env {found[1]} caas {found[2]} {found[3]}"
        process = LoggedProcess(["bash", "-c", line], self._environment())
        self._exits.callback(process.stop)
        self.running.append(process)
        process.wait_for(_READY[found[2]])
        return process

    def keystore(self, identity: Path | None = None) -> Keystore:
        """The keystore as it stands."""
        return file.load(self.home.keystore, file.load_identities(identity or self.home.identity))

    def client(self, **options: str) -> Client:
        """A client with what client.env holds now."""
        settings = client_env.read(self.home.client_env)
        given = {
            "broker_url": settings[client_env.BROKER_URL],
            "api_key": settings[client_env.API_KEY],
            "server_key": settings[client_env.SERVER_KEY],
            **options,
        }
        client = Client(**given, timeout_s=DEADLINE_S)
        self._exits.callback(client.close)
        return client

    def _environment(self) -> dict[str, str]:
        made = environment(self.env)
        made["PATH"] = f"{Path(sys.executable).parent}:{made['PATH']}"
        return made

    def close(self) -> None:
        """End all parts."""
        self._exits.close()

    def not_run(self) -> list[list[str]]:
        """The section's blocks that are left."""
        return list(self._blocks)


def new_identity(path: Path) -> str:
    """Make an age identity as `age-keygen` does; its recipient."""
    identity = pyrage.x25519.Identity.generate()
    path.write_text(f"{identity}\n")
    return str(identity.to_public())


def eventually(condition: Callable[[], bool]) -> bool:
    """Ask until it holds: workers look at their files when requests come, once a second."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            return False
    return True


NewScene = Callable[[str], Scene]


def refused(client: Client) -> str:
    """The code that a call is refused with; empty when it is answered."""
    try:
        made_with(client)
    except ServiceError as error:
        return error.code
    return ""


def made_with(client: Client) -> int:
    """The key version that makes values now; each time of another user, for the guess limit."""
    return client.encrypt(str(uuid.uuid4()), "example sensitive data").key_version


def opens(scene: Scene, identity: Path) -> bool:
    try:
        scene.keystore(identity)
    except KeystoreError:
        return False
    return True


class Calls:
    """One call after another, from entering the context to leaving it."""

    def __init__(self, client: Client) -> None:
        self.answered = 0
        self.failed: list[ServiceError] = []
        self._client = client
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def _go_on(self) -> None:
        while not self._is_over.is_set():
            try:
                made_with(self._client)
            except ServiceError as error:
                self.failed.append(error)
            else:
                self.answered += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_over.set()
        self._thread.join()
