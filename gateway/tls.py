"""HTTPS of the gateway: TLS 1.2 or newer, with files that are looked at before anything listens."""

from __future__ import annotations

import ssl
from pathlib import Path

from caas_tasks.errors import ConfigurationError


def server_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """What the server serves with; None for plain HTTP.

    Args:
        certificate: PEM, with the authorities between it and a trusted one.
        key: PEM, its private key.

    Raises:
        ConfigurationError: one is given without the other, can't be read or doesn't fit.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "CAAS_GATEWAY_TLS_CERT" if certificate is None else "CAAS_GATEWAY_TLS_KEY"
        raise ConfigurationError(f"{missing}: is not set; certificate and key go together.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    problem = ""
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError:
        problem = "is no PEM certificate, or CAAS_GATEWAY_TLS_KEY is not its key."
    except OSError as error:
        problem = f"or its key cannot be read: {error.strerror}."
    if problem:
        raise ConfigurationError(f"CAAS_GATEWAY_TLS_CERT: {problem}")
    return context
