"""Health checks of containers: a file's age, one request on loopback, and an exit code."""

from __future__ import annotations

import http.server
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from caas_cli.exit_codes import CommandError
from caas_cli.healthcheck import MAX_AGE_S, check
from caas_tasks.errors import ConfigurationError


@pytest.fixture
def health_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "health"
    monkeypatch.setenv("CAAS_HEALTH_FILE", str(path))
    return path


def test_fresh_file(health_file: Path) -> None:
    """A worker that touched its file just now is well."""
    health_file.touch()
    assert check("worker") == "the worker's last sign is 0 s old"


def test_old_file(health_file: Path) -> None:
    """One that has not for long is not."""
    health_file.touch()
    then = time.time() - MAX_AGE_S - 5
    os.utime(health_file, (then, then))
    with pytest.raises(CommandError, match="last sign is 65 s old"):
        check("worker")


def test_no_file_yet(health_file: Path) -> None:
    """Before its first sign a worker has not started."""
    with pytest.raises(CommandError, match="has not started"):
        check("worker")


def test_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting there is nothing to look at."""
    monkeypatch.delenv("CAAS_HEALTH_FILE", raising=False)
    with pytest.raises(ConfigurationError, match="CAAS_HEALTH_FILE"):
        check("worker")


class Answer(http.server.BaseHTTPRequestHandler):
    status = 200
    paths: list[str]

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Answer]]:
    kind = type("Kind", (Answer,), {"paths": []})
    with http.server.HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for name in ("GATEWAY", "FLOWER"):
            monkeypatch.setenv(f"CAAS_{name}_HOST", "0.0.0.0")  # noqa: S104 - as in a container
            monkeypatch.setenv(f"CAAS_{name}_PORT", str(server.server_address[1]))
        yield kind
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("part", "path"), [("gateway", "/healthz"), ("flower", "/healthcheck")])
def test_part_that_answers(answer: type[Answer], part: str, path: str) -> None:
    """What serves HTTP is asked once, on this machine."""
    assert check(part) == "it answers"
    assert answer.paths == [path]


def test_part_that_answers_badly(answer: type[Answer]) -> None:
    """Another status is not well."""
    answer.status = 503
    with pytest.raises(CommandError, match="HTTP 503"):
        check("gateway")


def test_part_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that listens is not well."""
    monkeypatch.setenv("CAAS_GATEWAY_PORT", "1")
    with pytest.raises(CommandError, match="ConnectionRefusedError"):
        check("gateway")
