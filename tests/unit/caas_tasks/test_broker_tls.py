"""The files of certificates: looked at before anything connects; a wrong one is told by name."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from caas_cli.certificates import Authority
from caas_tasks.broker_tls import check_tls_files, tls_context
from caas_tasks.errors import ConfigurationError
from caas_tasks.redis_url import BrokerTls
from caas_tasks.settings import BrokerSettings, load_settings, read_brokers

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> BrokerTls:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority("test", NOW)
    issued = authority.issue_client("client", NOW)
    found = BrokerTls(folder / "ca.crt", folder / "client.crt", folder / "client.key")
    (folder / "ca.crt").write_bytes(authority.issued.certificate)
    (folder / "client.crt").write_bytes(issued.certificate)
    (folder / "client.key").write_bytes(issued.key)
    (folder / "text").write_text("canary")
    (folder / "other.key").write_bytes(authority.issue_client("other", NOW).key)
    return found


def test_good_files(files: BrokerTls) -> None:
    """Files that fit are taken, and so are none."""
    check_tls_files(files)
    check_tls_files(BrokerTls())


def test_given_authorities_stand_alone(files: BrokerTls) -> None:
    """With a file of authorities none of the system's is trusted."""
    context = tls_context(str(files.ca), None, None)
    assert [entry["subject"] for entry in context.get_ca_certs()] == [((("commonName", "test"),),)]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("missing", None, None), "CAAS_BROKER_CA: cannot be read: No such file or directory."),
        (("text", None, None), "CAAS_BROKER_CA: is no PEM file of certificates."),
        ((None, "client.crt", None), "CAAS_BROKER_KEY: is not set; "),
        ((None, None, "client.key"), "CAAS_BROKER_CERT: is not set; "),
        ((None, "client.crt", "missing"), "CAAS_BROKER_KEY: cannot be read: "),
        ((None, "client.crt", "other.key"), "CAAS_BROKER_CERT: is no PEM certificate, or "),
        ((None, "text", "client.key"), "CAAS_BROKER_CERT: is no PEM certificate, or "),
    ],
)
def test_wrong_files(files: BrokerTls, names: tuple[str | None, ...], problem: str) -> None:
    """What is wrong is told by the setting's name, without a path or content."""
    assert files.ca is not None
    folder = files.ca.parent
    ca, cert, key = (None if name is None else folder / name for name in names)
    with pytest.raises(ConfigurationError) as caught:
        check_tls_files(BrokerTls(ca, cert, key))
    assert str(caught.value).startswith(problem)
    assert str(folder) not in str(caught.value)
    assert caught.value.__context__ is None


def test_settings_come_from_the_environment(
    files: BrokerTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever an address is read, its certificates are those of the environment."""
    for name, path in (("CA", files.ca), ("CERT", files.cert), ("KEY", files.key)):
        monkeypatch.setenv(f"CAAS_BROKER_{name}", str(path))
    monkeypatch.setenv("CAAS_BROKER_URL", "rediss://broker")
    (broker,) = read_brokers("rediss://broker")
    assert broker.tls == files
    assert load_settings(BrokerSettings).brokers() == (broker,)


def test_empty_settings_are_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an environment file leaves empty is not there."""
    for name in ("CA", "CERT", "KEY"):
        monkeypatch.setenv(f"CAAS_BROKER_{name}", "")
    (broker,) = read_brokers("rediss://broker")
    assert broker.tls == BrokerTls()


def test_wrong_file_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The settings class names the setting that is wrong."""
    monkeypatch.setenv("CAAS_BROKER_URL", "rediss://broker")
    monkeypatch.setenv("CAAS_BROKER_CA", str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match=r"^CAAS_BROKER_CA: cannot be read"):
        load_settings(BrokerSettings)
    monkeypatch.setenv("CAAS_BROKER_URL", "redis://localhost")
    load_settings(BrokerSettings)


def test_plain_broker_needs_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain address of another machine is taken when the environment allows it."""
    with pytest.raises(ConfigurationError, match="plain connection"):
        read_brokers("redis://broker")
    monkeypatch.setenv("CAAS_ALLOW_PLAINTEXT_BROKER", "1")
    (broker,) = read_brokers("redis://broker")
    assert broker.allows_plaintext
