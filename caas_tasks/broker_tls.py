"""TLS to a broker: what is trusted, and files that are looked at before anything connects.

The broker is verified by the authorities of `CAAS_BROKER_CA` and no others where it is set, by the
system's otherwise. TLS 1.2 is the least.
"""

from __future__ import annotations

import ssl

from caas_tasks.errors import ConfigurationError
from caas_tasks.redis_url import BrokerTls


def tls_context(ca: str | None, cert: str | None, key: str | None) -> ssl.SSLContext:
    """A context that trusts `ca` alone, or the system's authorities without it.

    Raises:
        OSError: a file can't be read or is not what it should be.
    """
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context


def check_tls_files(tls: BrokerTls) -> None:
    """Load the certificates once, so that a wrong file is told at start.

    Raises:
        ConfigurationError: names the setting.
    """
    if (tls.cert is None) != (tls.key is None):
        missing = "CAAS_BROKER_KEY" if tls.key is None else "CAAS_BROKER_CERT"
        raise ConfigurationError(f"{missing}: is not set; certificate and key go together.")
    for name, path in (("CA", tls.ca), ("CERT", tls.cert), ("KEY", tls.key)):
        problem = ""
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            problem = f"CAAS_BROKER_{name}: cannot be read: {error.strerror}."
        if problem:
            raise ConfigurationError(problem)
    problem = ""
    try:
        tls_context(None if tls.ca is None else str(tls.ca), None, None)
    except OSError:
        problem = "CAAS_BROKER_CA: is no PEM file of certificates."
    if not problem and tls.cert is not None:
        try:
            tls_context(None, str(tls.cert), str(tls.key))
        except OSError:
            problem = "CAAS_BROKER_CERT: is no PEM certificate, or CAAS_BROKER_KEY is not its key."
    if problem:
        raise ConfigurationError(problem)
