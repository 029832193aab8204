"""One broker URL in two dialects, with its password out of sight."""

from __future__ import annotations

import pytest

from caas_tasks.errors import ConfigurationError
from caas_tasks.redis_url import parse_broker_url

SECRET = "canary-pass"
OTHER_FORM = (
    "CAAS_BROKER_URL: must be redis://host:port/db, rediss://host:port/db "
    "or redis+socket:///path/to/socket."
)


@pytest.mark.parametrize(
    ("url", "kombu", "display"),
    [
        ("redis://broker", "caasredis://broker", "redis://broker:6379"),
        ("redis://broker:7000/3", "caasredis://broker:7000/3", "redis://broker:7000"),
        (
            f"redis://user:{SECRET}@broker:7000/3",
            f"caasredis://user:{SECRET}@broker:7000/3",
            "redis://broker:7000",
        ),
        (f"rediss://:{SECRET}@broker", f"caasredis://:{SECRET}@broker", "rediss://broker:6379"),
    ],
)
def test_tcp(url: str, kombu: str, display: str) -> None:
    """Addresses over TCP keep all their parts; what is shown has no password."""
    found = parse_broker_url(url)
    assert (found.kombu, found.redis, found.display) == (kombu, url, display)
    assert SECRET not in repr(found) + str(found)
    assert display in repr(found)


def test_tls_checks_the_certificate() -> None:
    """With TLS kombu checks the certificate and its name; without it there is none."""
    assert parse_broker_url("rediss://broker").tls == {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
    }
    assert parse_broker_url("redis://broker").tls is None


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("redis+socket:///run/v.sock", "0"),
        ("redis+socket:///run/v.sock?virtual_host=2", "2"),
        ("redis+socket:///run/v.sock?virtual_host=/2", "2"),
        ("unix:///run/v.sock", "0"),
        ("unix:///run/v.sock?db=5", "5"),
        ("unix:///run/v.sock?db=5&virtual_host=6", "6"),
    ],
)
def test_socket(url: str, database: str) -> None:
    """Either spelling of a socket becomes both dialects, with its database."""
    found = parse_broker_url(url)
    assert found.kombu == f"caasredis+socket:///run/v.sock?virtual_host={database}"
    assert found.redis == f"unix:///run/v.sock?db={database}"
    assert found.display == "unix:/run/v.sock"


@pytest.mark.parametrize(
    "url",
    [
        "",
        SECRET,
        f"amqp://user:{SECRET}@host",
        f"http://user:{SECRET}@host",
        "redis://",
        f"redis://:{SECRET}@",
        "redis:///0",
        "unix://host/path",
        "unix:relative",
        "redis+socket://",
        f"unix:///run/v.sock?db={SECRET}",
        "unix:///run/v.sock?db=-1",
        f"redis://[{SECRET}",
        "redis://host:99999",
        f"redis://host:{SECRET}",
    ],
)
def test_other_forms(url: str) -> None:
    """Any other form is refused with the forms there are, and not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        parse_broker_url(url)
    assert str(caught.value) == OTHER_FORM
    assert caught.value.__context__ is None
