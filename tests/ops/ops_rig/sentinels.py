"""A primary with a replica, watched by three real sentinels, on loopback."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import redis
from rig.process import DEADLINE_S, LoggedProcess

from ops_rig.servers import REDIS, Files, RedisServer, free_port

SERVICE: Final = "caas"
DOWN_AFTER_MS: Final = 1_000
SENTINELS: Final = 3


class Topology:
    """Servers and sentinels.

    Args:
        files: TLS between all of them, and for clients.
    """

    def __init__(
        self,
        folder: Path,
        *,
        files: Files | None = None,
        binary: str = REDIS,
        sentinel: str = REDIS,
    ) -> None:
        self._exits = ExitStack()
        self.files = files
        own = ["tls-replication yes"] if files else []
        self.servers = [RedisServer(folder / "first", *own, files=files, binary=binary)]
        self._exits.push(self.servers[0])
        of_first = f"replicaof 127.0.0.1 {self.servers[0].port}"
        self.servers.append(
            RedisServer(folder / "second", *own, of_first, files=files, binary=binary)
        )
        self._exits.push(self.servers[1])
        self.servers[1].process.wait_for("sync: Finished with success")
        self.ports = [free_port() for _ in range(SENTINELS)]
        self.sentinels = [self._start(folder, port, sentinel) for port in self.ports]
        self.wait_until_watched()

    def _start(self, folder: Path, port: int, binary: str) -> LoggedProcess:
        configuration = folder / f"sentinel-{port}.conf"
        lines = [
            f"dir {folder}",
            "bind 127.0.0.1",
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.servers[0].port} 2",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 6000",
        ]
        if self.files is None:
            lines.append(f"port {port}")
        else:
            lines += [
                *("port 0", f"tls-port {port}", f"tls-ca-cert-file {self.files.ca}"),
                f"tls-cert-file {self.files.server_cert}",
                *(f"tls-key-file {self.files.server_key}", "tls-replication yes"),
                f"tls-client-cert-file {self.files.client_cert}",
                f"tls-client-key-file {self.files.client_key}",
            ]
        configuration.write_text("\n".join(lines) + "\n")
        process = LoggedProcess([binary, str(configuration), "--sentinel"])
        self._exits.callback(process.stop)
        process.wait_for("+monitor master")
        return process

    @property
    def url(self) -> str:
        """What `CAAS_BROKER_URL` is set to."""
        scheme = "sentinel" if self.files is None else "sentinels"
        hosts = ";".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"{scheme}://{hosts}/0?service={SERVICE}"

    def ask(self, port: int) -> Any:
        """A client of one sentinel."""
        options: dict[str, Any] = {"decode_responses": True}
        if self.files is not None:
            options |= {"ssl": True, **self.files.tls.options()}
        return redis.Redis("127.0.0.1", port, **options)

    def wait_until_watched(self) -> None:
        """Wait until each sentinel knows the others and the replica: a failover is possible."""
        self._wait(lambda state: state["num-other-sentinels"] >= SENTINELS - 1)
        self._wait(lambda state: state["num-slaves"] >= 1)

    def wait_for_failover(self) -> None:
        """Wait until all sentinels name the second server."""
        self._wait(lambda state: state["port"] == self.servers[1].port)

    def _wait(self, is_so: Any) -> None:
        end = time.monotonic() + DEADLINE_S
        for port in self.ports:
            with self.ask(port) as sentinel:
                while not is_so(sentinel.sentinel_master(SERVICE)):
                    assert time.monotonic() < end, "the sentinels did not come to agree"
                    time.sleep(0.05)  # sentinels tell nobody when they know each other

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._exits.close()
