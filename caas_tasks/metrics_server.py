"""Serving `/metrics` to Prometheus, on a port of its own and nothing else on it.

Several processes of one host share a port by sharing a folder: each writes its own values there,
whichever is asked answers for all, and the kernel picks one (SO_REUSEPORT, same user only).
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

from caas_tasks.errors import ConfigurationError
from caas_tasks.metrics_settings import MetricsSettings

PATH: Final = "/metrics"
MULTIPROCESS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
IO_TIMEOUT_S: Final = 5.0
"""How long one scrape may stall before the next is served, in seconds."""

_NO_CONTENT: Final = "text/plain; charset=utf-8"


def share_values(folder: Path | None) -> None:
    """Keep the values of metrics that are made from now on in files that other processes add up.

    Args:
        folder: shared by the processes of a host; a temporary one, for this process and its
            children, when None.

    Raises:
        ConfigurationError: the folder can't be made.
    """
    problem = ""
    try:
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="caas-metrics-"))
            atexit.register(_remove, folder, os.getpid())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        problem = f"CAAS_METRICS_DIR: {folder} cannot be made: {error.strerror}"
    if problem:
        raise ConfigurationError(problem)
    os.environ[MULTIPROCESS_VARIABLE] = str(folder)
    from prometheus_client import values

    # The library decides at its import, and Celery's command imports it first, for Flower.
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call] # it has no types


def _remove(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # its children end earlier, and run this too
        shutil.rmtree(folder, ignore_errors=True)


def is_shared() -> bool:
    """Whether values are kept in files."""
    return MULTIPROCESS_VARIABLE in os.environ


class _Handler(BaseHTTPRequestHandler):
    """Answers GET /metrics; says nothing about itself and logs nothing."""

    timeout = IO_TIMEOUT_S
    server_version = "caas"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a scrape."""
        from prometheus_client.exposition import choose_encoder

        if self.path.partition("?")[0] != PATH:
            self._answer(404, _NO_CONTENT, b"Only /metrics is here.\n")
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        server: Any = self.server
        server.refresh()
        self._answer(200, content_type, encode(server.registry))

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_parts: object) -> None:
        """Write no line: one a scrape says nothing, and it would hold what came in."""


class MetricsServer(HTTPServer):
    """Listens at once; serves from `start` to `stop`, in a thread of its own.

    Raises:
        ConfigurationError: the port can't be had.
    """

    allow_reuse_address = True

    def __init__(self, settings: MetricsSettings) -> None:
        self.registry: Any = None
        self.refresh: Callable[[], None] = lambda: None
        self.address_family = socket.AF_INET6 if ":" in settings.metrics_host else socket.AF_INET
        self.allow_reuse_port = settings.metrics_dir is not None
        address = (settings.metrics_host, settings.metrics_port)
        problem = ""
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            problem = (
                f"CAAS_METRICS_PORT: port {address[1]} of {address[0]} cannot be listened on: "
                f"{error.strerror}. Processes of one host share a port with CAAS_METRICS_DIR."
            )
        if problem:
            raise ConfigurationError(problem)

    def server_bind(self) -> None:
        """Bind, without looking the machine's name up, which may take seconds."""
        if self.allow_reuse_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super(HTTPServer, self).server_bind()

    def start(self, registry: Any, refresh: Callable[[], None] = lambda: None) -> None:
        """Serve a prometheus_client registry.

        Args:
            refresh: called before each answer.
        """
        from prometheus_client import disable_created_metrics

        # A second series for each, of when it was first counted: nobody here asks for those.
        disable_created_metrics()  # type: ignore[no-untyped-call] # it has no types
        self.registry, self.refresh = registry, refresh
        threading.Thread(target=self.serve_forever, name="caas-metrics", daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        if self.registry is not None:
            self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A scraper that hung up is no event; the default prints a traceback."""
