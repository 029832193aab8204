"""`caas healthcheck`: whether a part of this container is well, at little cost.

For a worker the age of a file; for what serves HTTP one request on the loopback interface. No
broker is asked and no message sent.
"""

from __future__ import annotations

import http.client
import ssl
import time
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from caas_cli.exit_codes import CommandError, ExitCode
from caas_cli.http_probe import reachable
from caas_tasks.errors import ConfigurationError
from caas_tasks.settings import CaasSettings, load_settings

MAX_AGE_S: Final = 60.0
"""Age of a worker's file from which the worker is not well: it beats every five seconds, and the
longest operations take a few."""

TIMEOUT_S: Final = 3.0


class HealthSettings(CaasSettings):
    """Where the parts of this container are."""

    health_file: Path | None = Field(
        default=None, description="File that a worker touches while it is well."
    )
    gateway_host: Annotated[str, Field(min_length=1)] = Field(
        default="127.0.0.1", description="Address that the gateway listens on."
    )
    gateway_port: int = Field(default=8000, description="Port that the gateway listens on.")
    gateway_tls_cert: Path | None = Field(
        default=None, description="PEM file of the gateway's certificate and its chain; HTTPS then."
    )
    flower_host: str = Field(default="127.0.0.1", description="Address that Flower listens on.")
    flower_port: int = Field(default=5555, description="Port that Flower listens on.")


def check(part: str) -> str:
    """What was found of a part that is well.

    Args:
        part: `worker`, `gateway` or `flower`.

    Raises:
        CommandError: the part is not well.
    """
    settings = load_settings(HealthSettings)
    if part == "worker":
        return _worker(settings)
    if part == "gateway":
        host = reachable(settings.gateway_host)
        return _http(host, settings.gateway_port, "/healthz", settings.gateway_tls_cert)
    return _http(reachable(settings.flower_host), settings.flower_port, "/healthcheck", None)


def _worker(settings: HealthSettings) -> str:
    if settings.health_file is None:
        raise ConfigurationError("CAAS_HEALTH_FILE: is not set.")
    problem = ""
    age_s = 0.0
    try:
        age_s = time.time() - settings.health_file.stat().st_mtime
    except OSError:
        problem = "the worker has not started"
    if age_s > MAX_AGE_S:
        problem = f"the worker's last sign is {age_s:.0f} s old"
    if problem:
        raise CommandError(problem, ExitCode.UNAVAILABLE)
    return f"the worker's last sign is {age_s:.0f} s old"


def _http(host: str, port: int, path: str, certificate: Path | None) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    problem = ""
    try:
        if certificate is not None:
            context = _trusting(certificate)
            connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
        connection.request("GET", path)
        status = connection.getresponse().status
        if status != HTTPStatus.OK:
            problem = f"it answers with HTTP {status}"
    except (OSError, http.client.HTTPException) as error:
        problem = f"it does not answer: {type(error).__name__}"
    finally:
        connection.close()
    if problem:
        raise CommandError(problem, ExitCode.UNAVAILABLE)
    return "it answers"


def _trusting(certificate: Path) -> ssl.SSLContext:
    """A context that takes this very certificate, under the loopback address too."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context
