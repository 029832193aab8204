"""The gateway's certificate: checked before it listens, and nothing below TLS 1.2."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from caas_cli.certificates import Authority
from caas_tasks.errors import ConfigurationError
from gateway.tls import server_context

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("certificates")
    authority = Authority("test", NOW)
    for name in ("gateway", "other"):
        issued = authority.issue_server([name], NOW)
        (made / f"{name}.crt").write_bytes(issued.certificate)
        (made / f"{name}.key").write_bytes(issued.key)
    return made


def test_certificate_and_key(folder: Path) -> None:
    """A pair that fits serves TLS 1.2 and newer."""
    context = server_context(folder / "gateway.crt", folder / "gateway.key")
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_none() -> None:
    """Without a certificate the gateway speaks plain HTTP."""
    assert server_context(None, None) is None


@pytest.mark.parametrize(
    ("certificate", "key", "problem"),
    [
        ("gateway.crt", None, "CAAS_GATEWAY_TLS_KEY: is not set"),
        (None, "gateway.key", "CAAS_GATEWAY_TLS_CERT: is not set"),
        ("gateway.crt", "other.key", "CAAS_GATEWAY_TLS_CERT: is no PEM certificate, or "),
        ("gateway.key", "gateway.key", "CAAS_GATEWAY_TLS_CERT: is no PEM certificate, or "),
        ("missing", "gateway.key", "CAAS_GATEWAY_TLS_CERT: or its key cannot be read: No such"),
    ],
)
def test_wrong_files(folder: Path, certificate: str | None, key: str | None, problem: str) -> None:
    """What is wrong is told by the setting's name."""
    paths = [None if name is None else folder / name for name in (certificate, key)]
    with pytest.raises(ConfigurationError) as caught:
        server_context(*paths)
    assert str(caught.value).startswith(problem)
    assert str(folder) not in str(caught.value)
    assert caught.value.__context__ is None
