"""Certificates on this host: whose they are, and when they end."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from caas_cli import client_env
from caas_cli.doctor.finding import Finding
from caas_cli.home import Home
from caas_tasks.broker_tls import tls_context
from caas_tasks.errors import ConfigurationError
from caas_tasks.redis_url import Address, BrokerUrl
from caas_tasks.settings import read_brokers

NAME: Final = "certificate"
SOON_DAYS: Final = 21
CONNECT_TIMEOUT_S: Final = 3.0
FILES: Final = ("CAAS_BROKER_CA", "CAAS_BROKER_CERT", "CAAS_GATEWAY_TLS_CERT")


def files(home: Home, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> list[Finding]:
    """The certificates that the environment names, and the brokers' own."""
    found = []
    for name in FILES:
        path = os.environ.get(name)
        if path:
            found += _file(name, Path(path), now())
    try:
        brokers = read_brokers(client_env.setting(home.client_env, client_env.BROKER_URL))
    except ConfigurationError:
        brokers = ()  # told with the broker
    return found + [finding for broker in brokers for finding in _of_broker(broker, now())]


def _file(name: str, path: Path, now: datetime) -> list[Finding]:
    try:
        loaded = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = "cannot be read" if isinstance(error, OSError) else "is no PEM certificate"
        return [Finding(NAME, False, f"{name}: {reason}", "make it anew, or correct its path")]
    return [_judged(name, certificate, now) for certificate in loaded]


def _of_broker(broker: BrokerUrl, now: datetime) -> list[Finding]:
    """The certificate that a broker shows; one that is refused is told with the broker."""
    if broker.tls is None:
        return []
    addresses: tuple[Address, ...] = broker.sentinels
    if broker.address is not None:
        addresses = (broker.address,)
    tls = broker.tls.options()
    found = []
    for host, port in addresses:
        try:
            context = tls_context(
                *(tls.get(f"ssl_{what}") for what in ("ca_certs", "certfile", "keyfile"))
            )
            with (
                socket.create_connection((host, port), CONNECT_TIMEOUT_S) as plain,
                context.wrap_socket(plain, server_hostname=host) as secure,
            ):
                shown = secure.getpeercert(binary_form=True)
        except (OSError, ssl.SSLError):
            continue
        if shown is not None:
            found.append(_judged(f"{host}:{port}", x509.load_der_x509_certificate(shown), now))
    return found


def _judged(name: str, certificate: x509.Certificate, now: datetime) -> Finding:
    days = (certificate.not_valid_after_utc - now).days
    detail = f"{name} ({_names(certificate)}) ends in {days} day(s)"
    if certificate.not_valid_before_utc > now:
        return Finding(NAME, False, f"{name}: is not valid yet", "set this host's clock by NTP")
    if days < 0:
        return Finding(NAME, False, f"{name}: has expired", "renew it; connections are refused")
    if days < SOON_DAYS:
        advice = "renew it now: `caas init --compose --renew`, or your own authority"
        return Finding(NAME, False, detail, advice)
    return Finding(NAME, True, detail)


def _names(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [str(name.value) for name in names]
    except x509.ExtensionNotFound:
        found = [str(part.value) for part in certificate.subject]
    return ", ".join(found[:4]) or "without a name"
