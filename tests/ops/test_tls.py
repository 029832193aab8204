"""TLS to a real server: who is refused, on which side, and the reason in one line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from ops_rig.servers import NOW, Files, RedisServer
from rig.process import DEADLINE_S
from rig.stack import KeystoreFolder

from caas_cli.certificates import Authority
from caas_tasks.broker_fault import reason_of
from caas_tasks.broker_transport import NO_RETRY
from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.redis_connection import connect
from caas_tasks.redis_url import BrokerTls, parse_broker_url
from producer_client import Client

pytestmark = pytest.mark.ops

NOT_TRUSTED = "its certificate is signed by no authority that is trusted here"

# Whether OpenSSL reads the server's reason before the connection's end is a matter of luck.
ENDED = "it ended the connection; it may ask for a client certificate, see CAAS_BROKER_CERT"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), files=files) as made:
        yield made


def failure(url: str, tls: BrokerTls) -> str:
    """Why a connection is refused."""
    options: Any = {"socket_timeout": 1, "socket_connect_timeout": 1, "retry": NO_RETRY}
    broker = parse_broker_url(url, tls)
    with connect(broker, **options) as client, pytest.raises(redis.RedisError) as it:
        client.ping()
    return reason_of(it.value)


def test_verified_on_both_sides(server: RedisServer) -> None:
    """With the right authority, name and client certificate the broker answers, over TLS 1.2 up."""
    with server.connect() as client:
        assert client.ping()
        connection = client.connection_pool.get_connection()
        assert connection._sock.version() in {"TLSv1.2", "TLSv1.3"}


def test_address_counts_as_a_name(server: RedisServer, files: Files) -> None:
    """A certificate for an address is good for that address."""
    with connect(parse_broker_url(server.url(host="127.0.0.1"), files.tls)) as client:
        assert client.ping()


def test_another_authority(server: RedisServer, files: Files, tmp_path: Path) -> None:
    """A certificate of an authority that is not the given one is refused."""
    other = Files(tmp_path)
    tls = BrokerTls(other.ca, files.client_cert, files.client_key)
    assert failure(server.url(), tls) == NOT_TRUSTED


def test_the_systems_authorities_are_not_enough(server: RedisServer) -> None:
    """Without a given authority only public ones are trusted."""
    assert failure(server.url(), BrokerTls()) == NOT_TRUSTED


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"now": NOW - timedelta(days=60), "days": 30}, "its certificate has expired"),
        ({"now": NOW + timedelta(days=2)}, "its certificate is not valid yet"),
        ({"hosts": ("broker.example",)}, "its certificate is for another host name"),
    ],
)
def test_certificate_that_is_not_good(options: Any, reason: str, tmp_path: Path) -> None:
    """What is wrong with a certificate of the right authority is told."""
    files = Files(tmp_path / "files", **options)
    with RedisServer(tmp_path / "redis", files=files) as server:
        assert failure(server.url(), files.tls) == reason


def test_wrong_address(tmp_path: Path) -> None:
    """A name's certificate is not good for the address behind it."""
    files = Files(tmp_path / "files", hosts=("localhost",))
    with RedisServer(tmp_path / "redis", files=files) as server:
        url = server.url(host="127.0.0.1")
        assert failure(url, files.tls) == "its certificate is for another address"


def test_client_without_a_certificate(server: RedisServer, files: Files) -> None:
    """A broker that asks for a client certificate takes no other client."""
    reason = "it asks for a client certificate, see CAAS_BROKER_CERT"
    assert failure(server.url(), BrokerTls(files.ca)) in {reason, ENDED}


def test_client_with_a_certificate_of_another(
    server: RedisServer, files: Files, tmp_path: Path
) -> None:
    """Nor does it take one that another authority signed."""
    other = Files(tmp_path)
    tls = BrokerTls(files.ca, other.client_cert, other.client_key)
    assert failure(server.url(), tls) in {"it does not trust the client certificate", ENDED}


def test_server_without_tls(files: Files, tmp_path: Path) -> None:
    """A server that waits for plain text keeps nobody waiting."""
    with RedisServer(tmp_path) as server:
        url = server.url().replace("redis://", "rediss://")
        assert failure(url, files.tls) == "it does not answer in time"


@pytest.fixture
def expired(tmp_path: Path) -> Iterator[RedisServer]:
    files = Files(tmp_path / "files", now=NOW - timedelta(days=60))
    with RedisServer(tmp_path / "redis", files=files) as made:
        yield made


def test_call_says_why(
    expired: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that fails for a certificate says so in its error, in one line."""
    assert expired.files is not None
    keystore = KeystoreFolder(tmp_path)
    for name, value in expired.files.env.items():
        monkeypatch.setenv(name, str(value))
    options: Any = {"broker_url": expired.url(), "api_key": keystore.api_key}
    with (
        Client(**options, server_key=keystore.server_key, timeout_s=0.5) as client,
        pytest.raises(ServiceUnavailableError) as caught,
    ):
        client.ping(timeout_s=DEADLINE_S / 60)
    expected = "The message broker cannot be used: its certificate has expired."
    assert str(caught.value) == expected


def test_authority_signs_no_authorities(files: Files, tmp_path: Path) -> None:
    """A certificate that an installation's authority signed is no authority itself."""
    from cryptography import x509

    made = x509.load_pem_x509_certificate(files.server_cert.read_bytes())
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    authority = x509.load_pem_x509_certificate(Authority("a", NOW).issued.certificate)
    limits = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (True, 0)
