"""Certificates of an installation: what they may be used for, for whom, and how long."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from caas_cli.certificates import Authority, Issued

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOSTS = ("redis", "localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("CaaS test", NOW)


def load(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.certificate)


def verify(authority: Authority, issued: Issued, host: str, at: datetime = NOW) -> None:
    store = Store([load(authority.issued)])
    builder = PolicyBuilder().store(store).time(at)
    builder.build_server_verifier(x509.DNSName(host)).verify(load(issued), [])


def test_server_certificate_is_good_for_its_names(authority: Authority) -> None:
    """A verifier that keeps to RFC 5280 takes it for each of its names."""
    issued = authority.issue_server(HOSTS, NOW)
    verify(authority, issued, "redis")
    verify(authority, issued, "localhost", NOW + timedelta(days=824))
    names = load(issued).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]


@pytest.mark.parametrize(
    ("host", "days"), [("other", 0), ("redis", 826), ("redis", -1)], ids=["name", "late", "early"]
)
def test_server_certificate_is_good_for_no_more(authority: Authority, host: str, days: int) -> None:
    """Another name or another time is refused."""
    issued = authority.issue_server(HOSTS, NOW)
    with pytest.raises(VerificationError):
        verify(authority, issued, host, NOW + timedelta(days=days))


def test_another_authority_is_refused(authority: Authority) -> None:
    """A certificate of one authority is nothing to another of the same name."""
    issued = Authority("CaaS test", NOW).issue_server(HOSTS, NOW)
    with pytest.raises(VerificationError):
        verify(authority, issued, "redis")


def test_client_certificate_serves_nobody(authority: Authority) -> None:
    """A client's certificate is a client's alone."""
    issued = authority.issue_client("caas-worker", NOW)
    usage = load(issued).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_key_fits_and_is_hidden(authority: Authority) -> None:
    """The private key is the certificate's, and shows in no repr."""
    issued = authority.issue_client("caas-worker", NOW)
    key = load_pem_private_key(issued.key, None)
    assert key.public_key() == load(issued).public_key()
    assert "PRIVATE" not in repr(issued)
