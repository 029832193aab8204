"""Real Redis servers with TLS and ACL users, and certificates for them."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import redis
from rig.process import LoggedProcess

from caas_cli.certificates import Authority, Issued
from caas_tasks.redis_connection import connect
from caas_tasks.redis_url import BrokerTls, parse_broker_url

HOSTS = ("localhost", "127.0.0.1")
REDIS = shutil.which("redis-server") or "redis-server"
NOW = datetime.now(UTC)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Files:
    """An authority with a server's and a client's certificate, as files."""

    def __init__(
        self,
        folder: Path,
        *,
        hosts: Sequence[str] = HOSTS,
        authority: Authority | None = None,
        now: datetime = NOW,
        days: int = 30,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = authority or Authority("test authority", NOW)
        self.ca = folder / "ca.crt"
        self.ca.write_bytes(self.authority.issued.certificate)
        server = self.authority.issue_server(hosts, now, days)
        self.server_cert, self.server_key = _write(folder, "server", server)
        client = self.authority.issue_client("test client", NOW)
        self.client_cert, self.client_key = _write(folder, "client", client)

    @property
    def tls(self) -> BrokerTls:
        """What a client of the server has."""
        return BrokerTls(self.ca, self.client_cert, self.client_key)

    @property
    def env(self) -> dict[str, str | None]:
        return {
            "CAAS_BROKER_CA": str(self.ca),
            "CAAS_BROKER_CERT": str(self.client_cert),
            "CAAS_BROKER_KEY": str(self.client_key),
        }


def _write(folder: Path, name: str, issued: Issued) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_bytes(issued.certificate)
    key.write_bytes(issued.key)
    return certificate, key


class RedisServer:
    """A server on a loopback port.

    Args:
        files: TLS with these, and nothing else, when given.
        users: lines of an ACL file.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        files: Files | None = None,
        users: Sequence[str] = (),
        port: int | None = None,
        binary: str = REDIS,
        client_certificates: bool = True,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.files = files
        lines = [f"dir {folder}", 'save ""', "bind 127.0.0.1", *options]
        if files is None:
            lines.append(f"port {self.port}")
        else:
            lines += [
                *("port 0", f"tls-port {self.port}", f"tls-ca-cert-file {files.ca}"),
                *(f"tls-cert-file {files.server_cert}", f"tls-key-file {files.server_key}"),
                # For what it asks of others: its own certificate is a server's alone.
                f"tls-client-cert-file {files.client_cert}",
                f"tls-client-key-file {files.client_key}",
                f"tls-auth-clients {'yes' if client_certificates else 'no'}",
            ]
        if users:
            acl = folder / "users.acl"
            acl.write_text("\n".join(users) + "\n")
            lines.append(f"aclfile {acl}")
        self._configuration = folder / "redis.conf"
        self._configuration.write_text("\n".join(lines) + "\n")
        self._binary = binary
        self.start()

    def start(self) -> None:
        self.process = LoggedProcess([self._binary, str(self._configuration)])
        self.process.wait_for("Ready to accept connections")

    def url(self, login: str = "", host: str = "localhost") -> str:
        scheme = "redis" if self.files is None else "rediss"
        return f"{scheme}://{login}{'@' if login else ''}{host}:{self.port}/0"

    def connect(self, login: str = "", **options: Any) -> redis.Redis:
        """A client of the server itself."""
        tls = None if self.files is None else self.files.tls
        return connect(parse_broker_url(self.url(login), tls), **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.stop()
