"""Broker addresses: one parse for kombu and redis-py, for TLS, Sentinel and several brokers.

| form                                               | what                                     |
|----------------------------------------------------|------------------------------------------|
| `redis://[user:password@]host:port/db`             | plain, to this machine alone             |
| `rediss://…`                                       | TLS; the certificate and its name count  |
| `redis+socket:///path?virtual_host=N`, `unix:///…` | a Unix socket                            |
| `sentinel://[…@]host:port;host:port/db?service=S`  | the primary S, as the sentinels name it  |
| `sentinels://…`                                    | the same over TLS, to the sentinels also |

A plain connection to another machine is refused unless it is allowed: the requests are sealed, but
the password of the broker is not, and whoever answers could drop what comes. Nothing that a URL may
hold weakens the check of a certificate. No error repeats a URL.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from caas_tasks.errors import ConfigurationError

KOMBU_SCHEME: Final = "caasredis"
"""The name that `caas_tasks.broker_transport` registers with kombu."""

KOMBU_SENTINEL_SCHEME: Final = "caassentinel"
"""The same, for a primary that sentinels name."""

REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
MAX_BROKERS: Final = 32

_SOCKET_SCHEMES: Final = frozenset({"redis+socket", "unix"})
_TCP_SCHEMES: Final = frozenset({"redis", "rediss"})
_SENTINEL_SCHEMES: Final = frozenset({"sentinel", "sentinels"})
_TLS_SCHEMES: Final = frozenset({"rediss", "sentinels"})
_END_OF_AUTHORITY: Final = re.compile(r"[/?#]")
# A comma may stand in a password; one that is followed by a scheme separates.
_SEPARATOR: Final = re.compile(r"[\s,]+(?=[a-z+]+://)")

logger = logging.getLogger(__name__)

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class BrokerTls:
    """Certificates for TLS to a broker.

    Attributes:
        ca: PEM file of the only authorities that are trusted; the system's when None.
        cert: PEM file of this side's certificate, for brokers that ask for one.
        key: PEM file of its private key.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def options(self) -> dict[str, Any]:
        """What kombu takes as `ssl` and a connection of redis-py as keywords."""
        files = {"ssl_ca_certs": self.ca, "ssl_certfile": self.cert, "ssl_keyfile": self.key}
        return {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            **{name: str(path) for name, path in files.items() if path is not None},
        }


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """The address of one broker. `repr` leaves any password out.

    Attributes:
        kombu: the form that Celery and kombu read.
        display: host and port or socket path, fit for a log.
        tls: None without TLS.
        address: host and port; None for a socket or Sentinel.
        socket_path: None over TCP.
        sentinels: who names the primary; empty without Sentinel.
        service: the name that sentinels know the primary by.
        allows_plaintext: a plain connection may leave this machine.
    """

    kombu: str = field(repr=False)
    display: str
    tls: BrokerTls | None = field(default=None, repr=False)
    address: Address | None = field(default=None, repr=False)
    socket_path: str | None = field(default=None, repr=False)
    sentinels: tuple[Address, ...] = field(default=(), repr=False)
    service: str = field(default="", repr=False)
    database: int = field(default=0, repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    allows_plaintext: bool = field(default=False, repr=False)

    @property
    def ssl(self) -> dict[str, Any] | None:
        """What kombu takes as `ssl`."""
        return None if self.tls is None else self.tls.options()

    @property
    def transport_options(self) -> dict[str, Any]:
        """What kombu's transport must be told besides the URL."""
        if not self.sentinels:
            return {}
        return {
            "sentinels": list(self.sentinels),
            "master_name": self.service,
            "allows_plaintext": self.allows_plaintext,
        }


def parse_broker_urls(
    text: str, tls: BrokerTls | None = None, *, allow_plaintext: bool = False
) -> tuple[BrokerUrl, ...]:
    """Read one address or several, separated by commas or white space.

    Raises:
        ConfigurationError: as `parse_broker_url`; the same address twice, or too many.
    """
    parts = _SEPARATOR.split(text.strip())
    if len(parts) > MAX_BROKERS:
        raise ConfigurationError(f"CAAS_BROKER_URL: names more than {MAX_BROKERS} brokers.")
    found = tuple(
        parse_broker_url(part.rstrip(","), tls, allow_plaintext=allow_plaintext) for part in parts
    )
    if len({(broker.display, broker.database) for broker in found}) < len(found):
        raise ConfigurationError("CAAS_BROKER_URL: names one broker twice.")
    return found


def parse_broker_url(
    url: str, tls: BrokerTls | None = None, *, allow_plaintext: bool = False
) -> BrokerUrl:
    """Read the address of one broker.

    Args:
        tls: the certificates to use where the address asks for TLS.
        allow_plaintext: take a plain address of another machine, with a warning.

    Raises:
        ConfigurationError: another form, or a plain address of another machine.
    """
    found: BrokerUrl | None = None
    try:
        found = _parse(*_split(url), tls or BrokerTls())
    except ValueError:
        found = None
    if found is None:
        raise ConfigurationError(
            "CAAS_BROKER_URL: must be redis://host:port/db, rediss://host:port/db, "
            "sentinel://host:port;host:port/db?service=name, sentinels://… with TLS, "
            "or redis+socket:///path/to/socket."
        )
    if found.tls is None and not _stays_here(found):
        if not allow_plaintext:
            raise ConfigurationError(
                "CAAS_BROKER_URL: is a plain connection to another machine; use rediss:// or "
                "sentinels://, or set CAAS_ALLOW_PLAINTEXT_BROKER=1 where the network is trusted."
            )
        logger.warning("the connection to %s is not encrypted", found.display)
    return replace(found, allows_plaintext=allow_plaintext)


def _split(url: str) -> tuple[SplitResult, str]:
    """The parts of a URL, and its authority: newer Pythons refuse a list of hosts with brackets."""
    scheme, separator, rest = url.partition("://")
    if scheme.lower() not in _SENTINEL_SCHEMES:
        parts = urlsplit(url)
        return parts, parts.netloc
    authority = _END_OF_AUTHORITY.split(rest, maxsplit=1)[0]
    return urlsplit(f"{scheme}{separator}{rest[len(authority) :]}"), authority


def _parse(parts: SplitResult, authority: str, tls: BrokerTls) -> BrokerUrl | None:
    query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    if parts.fragment:
        return None
    if parts.scheme in _TCP_SCHEMES and not query:
        return _tcp(parts, tls)
    if parts.scheme in _SENTINEL_SCHEMES and set(query) == {"service"}:
        return _sentinel(parts, authority, query["service"][0], tls)
    if parts.scheme in _SOCKET_SCHEMES and set(query) <= {"virtual_host", "db"}:
        database = (query.get("virtual_host") or query.get("db") or ["0"])[0].lstrip("/")
        if parts.path.startswith("/") and not parts.netloc:
            return BrokerUrl(
                kombu=f"{KOMBU_SCHEME}+socket://{parts.path}?virtual_host={_database(database)}",
                display=f"unix:{parts.path}",
                socket_path=unquote(parts.path),
                database=_database(database),
            )
    return None


def _tcp(parts: SplitResult, tls: BrokerTls) -> BrokerUrl | None:
    if not parts.hostname:
        return None
    address = (parts.hostname, parts.port or REDIS_PORT)
    database = _database(parts.path.strip("/") or "0")
    return BrokerUrl(
        kombu=f"{KOMBU_SCHEME}://{parts.netloc}/{database}",
        display=f"{parts.scheme}://{_shown(address)}",
        tls=tls if parts.scheme in _TLS_SCHEMES else None,
        address=address,
        database=database,
        username=_plain(parts.username),
        password=_plain(parts.password),
    )


def _sentinel(parts: SplitResult, authority: str, service: str, tls: BrokerTls) -> BrokerUrl | None:
    login, _, hosts = authority.rpartition("@")
    addresses = tuple(_address(host) for host in hosts.split(";"))
    if not service or not all(host for host, _port in addresses):
        return None
    user, separator, password = login.partition(":")
    database = _database(parts.path.strip("/") or "0")
    prefix = f"{login}@" if login else ""
    return BrokerUrl(
        # The sentinels go to kombu as a transport option: it would split them by its own scheme.
        kombu=f"{KOMBU_SENTINEL_SCHEME}://{prefix}{_shown(addresses[0])}/{database}",
        display=f"{parts.scheme}://{';'.join(map(_shown, addresses))}",
        tls=tls if parts.scheme in _TLS_SCHEMES else None,
        sentinels=addresses,
        service=service,
        database=database,
        username=_plain(user) or None,
        password=_plain(password) if separator else None,
    )


def _address(text: str) -> Address:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "", parts.port or SENTINEL_PORT


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _database(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError
    return int(text)


def _plain(quoted: str | None) -> str | None:
    return None if quoted is None else unquote(quoted)


def _stays_here(broker: BrokerUrl) -> bool:
    hosts = [host for host, _port in broker.sentinels]
    if broker.address is not None:
        hosts.append(broker.address[0])
    return all(map(is_loopback, hosts))


def is_loopback(host: str) -> bool:
    """Whether a host is certainly this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # Another name is not looked up: what it means may change after the check.
        return False
