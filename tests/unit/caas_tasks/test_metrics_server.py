"""The metrics' own server: one path, one thread, one port or one that is shared."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from caas_tasks import metrics_server
from caas_tasks.errors import ConfigurationError
from caas_tasks.metrics_server import MetricsServer
from caas_tasks.metrics_settings import MetricsSettings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def settings() -> MetricsSettings:
    return MetricsSettings(metrics_port=free_port())


@pytest.fixture
def server(settings: MetricsSettings) -> Iterator[MetricsServer]:
    made = MetricsServer(settings)
    yield made
    made.stop()


def get(settings: MetricsSettings, path: str = "/metrics") -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{settings.metrics_port}{path}", timeout=30)


def test_it_serves_a_registry(server: MetricsServer, settings: MetricsSettings) -> None:
    """What is counted is told, after what must be brought up to date first."""
    registry = CollectorRegistry()
    counter = Counter("things", "Things.", registry=registry)
    server.start(registry, counter.inc)
    answer = get(settings)
    assert "things_total 1.0" in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_it_serves_nothing_else(server: MetricsServer, settings: MetricsSettings) -> None:
    """Any other path is not there."""
    server.start(CollectorRegistry())
    assert get(settings, "/secret").status_code == 404


def test_a_scraper_that_hangs_up_harms_nothing(
    server: MetricsServer, settings: MetricsSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    """The next is answered, and nothing is written."""
    server.start(CollectorRegistry())
    with socket.create_connection(("127.0.0.1", settings.metrics_port)) as rude:
        rude.sendall(b"GET /metrics HTTP/1.1\r\n")
    assert get(settings).status_code == 200
    assert capfd.readouterr().err == ""


def test_a_taken_port_is_refused(server: MetricsServer, settings: MetricsSettings) -> None:
    """By name, with what helps."""
    with pytest.raises(ConfigurationError, match="CAAS_METRICS_DIR"):
        MetricsServer(settings)


def test_processes_with_a_common_folder_share_a_port(tmp_path: Path) -> None:
    """The kernel picks who answers."""
    settings = MetricsSettings(metrics_port=free_port(), metrics_dir=tmp_path)
    first, second = MetricsServer(settings), MetricsServer(settings)
    first.stop()
    second.start(CollectorRegistry())
    assert get(settings).status_code == 200
    second.stop()


def test_a_folder_that_cannot_be_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is counted."""
    monkeypatch.setenv(metrics_server.MULTIPROCESS_VARIABLE, "")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        metrics_server.share_values(tmp_path / "file" / "values")


@pytest.mark.parametrize("given", [True, False])
def test_values_are_shared_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    """The given one, or one that is removed when this process ends."""
    from prometheus_client import values

    kept: list[Any] = []
    monkeypatch.setenv(metrics_server.MULTIPROCESS_VARIABLE, "")
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setattr(metrics_server.tempfile, "mkdtemp", lambda **_: str(tmp_path / "own"))
    monkeypatch.setattr(metrics_server.atexit, "register", lambda *call: kept.append(call))
    metrics_server.share_values(tmp_path / "given" if given else None)
    folder = tmp_path / ("given" if given else "own")
    assert (folder.is_dir(), metrics_server.is_shared(), len(kept)) == (True, True, not given)
    for remove, *arguments in kept:
        remove(*arguments)
        assert not folder.exists()
