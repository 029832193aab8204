"""Certificates for the parts of one installation, by an authority of its own (RFC 5280).

Keys are ECDSA over P-256: what every TLS library in reach takes. The authority may sign nothing but
servers and clients, and no further authorities.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS: Final = 3_650
CERTIFICATE_DAYS: Final = 825
"""The longest that common TLS libraries take for a server."""

CLOCK_ALLOWANCE: Final = timedelta(minutes=5)
"""A certificate is valid from a little before it was made: other hosts' clocks may be behind."""

_NO_USE: Final = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


class Authority:
    """A certificate authority, whose key is in memory.

    Args:
        name: the subject's common name.
        now: when it is made.
    """

    def __init__(self, name: str, now: datetime) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        public_key = self._key.public_key()
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
        builder = (
            _builder(self._name, self._name, public_key, now, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.KeyUsage(**{**_NO_USE, "key_cert_sign": True, "crl_sign": True}),
                critical=True,
            )
            .add_extension(self._identifier, critical=False)
        )
        self.issued = Issued(
            builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM), _pem(self._key)
        )

    def issue_server(
        self, hosts: Sequence[str], now: datetime, days: int = CERTIFICATE_DAYS
    ) -> Issued:
        """A certificate for a server.

        Args:
            hosts: names and addresses that it answers to, the first its common name.
        """
        return self._issue(hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, now, days, hosts)

    def issue_client(self, name: str, now: datetime, days: int = CERTIFICATE_DAYS) -> Issued:
        """A certificate for a client."""
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, now, days, ())

    def _issue(
        self,
        name: str,
        usage: x509.ObjectIdentifier,
        now: datetime,
        days: int,
        hosts: Sequence[str],
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_named(name), self._name, key.public_key(), now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**{**_NO_USE, "digital_signature": True}), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier),
                critical=False,
            )
        )
        if hosts:
            names = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(certificate.public_bytes(Encoding.PEM), _pem(key))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    start = now.astimezone(UTC) - CLOCK_ALLOWANCE
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
