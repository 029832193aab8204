"""One broker URL, two dialects: kombu's and redis-py's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

from caas_tasks.errors import ConfigurationError

_SOCKET_SCHEMES: Final = frozenset({"redis+socket", "unix"})


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """A Redis or Valkey address. `repr` and `display` leave any password out.

    Attributes:
        kombu: the form that Celery and kombu read.
        redis: the form that redis-py reads.
        display: host and port or socket path, fit for a log.
    """

    kombu: str
    redis: str
    display: str

    def __repr__(self) -> str:
        return f"BrokerUrl({self.display})"


def parse_broker_url(url: str) -> BrokerUrl:
    """Read `redis://`, `rediss://`, `redis+socket:///path?virtual_host=N` or `unix:///path?db=N`.

    Raises:
        ConfigurationError: another scheme, or no host or path. The URL is not repeated.
    """
    parts = None
    port = None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts = None
    if parts is None:
        raise ConfigurationError("CAAS_BROKER_URL: not a URL.")
    if parts.scheme in {"redis", "rediss"} and parts.hostname:
        return BrokerUrl(url, url, f"{parts.scheme}://{parts.hostname}:{port or 6379}")
    if parts.scheme in _SOCKET_SCHEMES and parts.path.startswith("/") and not parts.netloc:
        query = parse_qs(parts.query)
        database = (query.get("virtual_host") or query.get("db") or ["0"])[0].lstrip("/")
        if database.isdecimal():
            return BrokerUrl(
                kombu=f"redis+socket://{parts.path}?virtual_host={database}",
                redis=f"unix://{parts.path}?db={database}",
                display=f"unix:{parts.path}",
            )
    raise ConfigurationError(
        "CAAS_BROKER_URL: must be redis://host:port/db, rediss://host:port/db "
        "or redis+socket:///path/to/socket."
    )
