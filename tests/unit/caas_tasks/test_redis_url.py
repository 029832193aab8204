"""Broker addresses: one parse for both dialects, with passwords out of sight."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from caas_tasks.errors import ConfigurationError
from caas_tasks.redis_url import BrokerTls, parse_broker_url, parse_broker_urls

SECRET = "canary-pass"
OTHER_FORM = "CAAS_BROKER_URL: must be redis://host:port/db, rediss://host:port/db, "


@pytest.mark.parametrize(
    ("url", "kombu", "display"),
    [
        ("rediss://broker", "caasredis://broker/0", "rediss://broker:6379"),
        ("rediss://broker:7000/3", "caasredis://broker:7000/3", "rediss://broker:7000"),
        ("redis://localhost", "caasredis://localhost/0", "redis://localhost:6379"),
        ("redis://127.9.9.9:1/2", "caasredis://127.9.9.9:1/2", "redis://127.9.9.9:1"),
        ("redis://[::1]:1/2", "caasredis://[::1]:1/2", "redis://[::1]:1"),
        (
            f"rediss://user:{SECRET}@broker:7000/3",
            f"caasredis://user:{SECRET}@broker:7000/3",
            "rediss://broker:7000",
        ),
    ],
)
def test_tcp(url: str, kombu: str, display: str) -> None:
    """Addresses over TCP keep all their parts; what is shown has no password."""
    found = parse_broker_url(url)
    assert (found.kombu, found.display) == (kombu, display)
    assert SECRET not in repr(found) + str(found)
    assert display in repr(found)


def test_login_is_unquoted() -> None:
    """A user and a password with odd characters reach redis-py as they are."""
    found = parse_broker_url("rediss://us%40er:p%2F%3A%20w@broker")
    assert (found.username, found.password) == ("us@er", "p/: w")


def test_tls_checks_the_certificate() -> None:
    """With TLS kombu checks the certificate and its name; without it there is none."""
    tls = BrokerTls(Path("/ca"), Path("/cert"), Path("/key"))
    assert parse_broker_url("rediss://broker").ssl == {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
    }
    assert parse_broker_url("rediss://broker", tls).ssl == {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_ca_certs": "/ca",
        "ssl_certfile": "/cert",
        "ssl_keyfile": "/key",
    }
    assert parse_broker_url("redis://localhost", tls).ssl is None


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("redis+socket:///run/v.sock", 0),
        ("redis+socket:///run/v.sock?virtual_host=2", 2),
        ("redis+socket:///run/v.sock?virtual_host=/2", 2),
        ("unix:///run/v.sock", 0),
        ("unix:///run/v.sock?db=5", 5),
        ("unix:///run/v.sock?db=5&virtual_host=6", 6),
    ],
)
def test_socket(url: str, database: int) -> None:
    """Either spelling of a socket becomes both dialects, with its database."""
    found = parse_broker_url(url)
    assert found.kombu == f"caasredis+socket:///run/v.sock?virtual_host={database}"
    assert (found.socket_path, found.database) == ("/run/v.sock", database)
    assert found.display == "unix:/run/v.sock"


def test_sentinels() -> None:
    """Sentinels, their service, and the primary's login are told apart."""
    url = f"sentinels://user:{SECRET}@one:1;two;[::2]:3/4?service=caas"
    found = parse_broker_url(url)
    assert found.sentinels == (("one", 1), ("two", 26379), ("::2", 3))
    assert (found.service, found.database, found.username) == ("caas", 4, "user")
    assert found.password == SECRET
    assert found.kombu == f"caassentinel://user:{SECRET}@one:1/4"
    assert found.transport_options == {
        "sentinels": [("one", 1), ("two", 26379), ("::2", 3)],
        "master_name": "caas",
        "allows_plaintext": False,
    }
    assert found.display == "sentinels://one:1;two:26379;[::2]:3"
    assert SECRET not in repr(found)


def test_sentinels_without_tls_stay_here() -> None:
    """Plain sentinels are taken on this machine, and have no login of their own."""
    found = parse_broker_url("sentinel://localhost:1;127.0.0.1:2/0?service=caas")
    assert (found.tls, found.username, found.password) == (None, None, None)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@broker/0",
        "redis://10.0.0.1/0",
        "redis://localhost.example/0",
        "redis://0.0.0.0/0",
        "sentinel://localhost;broker/0?service=caas",
    ],
)
def test_plain_connection_to_another_machine(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is refused with what to do instead; where it is allowed, there is a warning."""
    with pytest.raises(ConfigurationError, match="plain connection to another machine") as caught:
        parse_broker_url(url)
    assert "CAAS_ALLOW_PLAINTEXT_BROKER=1" in str(caught.value)
    with caplog.at_level(logging.WARNING):
        found = parse_broker_url(url, allow_plaintext=True)
    assert caplog.messages == [f"the connection to {found.display} is not encrypted"]
    assert SECRET not in str(caught.value) + caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "rediss://one:1/0,rediss://us,er@two:2/0",
        " rediss://one:1/0 , rediss://us,er@two:2/0 ",
        "rediss://one:1/0\nrediss://us,er@two:2/0",
    ],
)
def test_several(text: str) -> None:
    """Commas or white space separate brokers; a comma in a login does not."""
    found = parse_broker_urls(text)
    assert [broker.display for broker in found] == ["rediss://one:1", "rediss://two:2"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rediss://one/0,rediss://one:6379/0", "names one broker twice"),
        (" ".join(f"rediss://h{n}" for n in range(33)), "names more than 32 brokers"),
    ],
)
def test_several_that_make_no_sense(text: str, problem: str) -> None:
    """One broker twice would get double work; thousands are a mistake."""
    with pytest.raises(ConfigurationError, match=problem):
        parse_broker_urls(text)


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
        f"redis://localhost/{SECRET}",
        f"rediss://host/0?ssl_cert_reqs=none&x={SECRET}",
        "rediss://host/0?ssl_check_hostname=false",
        "rediss://host/0#fragment",
        "unix:///run/v.sock?db=1&socket_timeout=9",
        "sentinel://localhost/0",
        "sentinel://localhost/0?service=",
        "sentinel://localhost;/0?service=caas",
        f"sentinel://localhost:{SECRET}/0?service=caas",
    ],
)
def test_other_forms(url: str) -> None:
    """Any other form, and any option, is refused with the forms there are, and not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        parse_broker_url(url)
    assert str(caught.value).startswith(OTHER_FORM)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None
