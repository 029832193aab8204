"""One broker URL, two dialects: kombu's and redis-py's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from caas_tasks.errors import ConfigurationError

KOMBU_SCHEME: Final = "caasredis"
"""The name that `caas_tasks.broker_transport` registers with kombu."""

_SOCKET_SCHEMES: Final = frozenset({"redis+socket", "unix"})
# The server's certificate is checked against the system's authorities, its name too.
_TLS: Final = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """A Redis or Valkey address. `repr` leaves any password out.

    Attributes:
        kombu: the form that Celery and kombu read.
        redis: the form that redis-py reads.
        display: host and port or socket path, fit for a log.
        tls: what kombu takes as `ssl`; None without TLS.
    """

    kombu: str = field(repr=False)
    redis: str = field(repr=False)
    display: str
    tls: dict[str, Any] | None = field(default=None, repr=False)


def parse_broker_url(url: str) -> BrokerUrl:
    """Read `redis://`, `rediss://`, `redis+socket:///path?virtual_host=N` or `unix:///path?db=N`.

    Raises:
        ConfigurationError: another scheme, or no host or path. The URL is not repeated.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        pass
    else:
        if parts.scheme in {"redis", "rediss"} and parts.hostname:
            kombu = KOMBU_SCHEME + url[len(parts.scheme) :]
            display = f"{parts.scheme}://{parts.hostname}:{port or 6379}"
            return BrokerUrl(kombu, url, display, dict(_TLS) if parts.scheme == "rediss" else None)
        if parts.scheme in _SOCKET_SCHEMES and parts.path.startswith("/") and not parts.netloc:
            query = parse_qs(parts.query)
            database = (query.get("virtual_host") or query.get("db") or ["0"])[0].lstrip("/")
            if database.isdecimal():
                return BrokerUrl(
                    kombu=f"{KOMBU_SCHEME}+socket://{parts.path}?virtual_host={database}",
                    redis=f"unix://{parts.path}?db={database}",
                    display=f"unix:{parts.path}",
                )
    raise ConfigurationError(
        "CAAS_BROKER_URL: must be redis://host:port/db, rediss://host:port/db "
        "or redis+socket:///path/to/socket."
    )
