"""What the doctor makes of a broker's settings, users, certificates, and of workers' answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.exceptions import NoPermissionError, ResponseError

from caas_cli.doctor import broker, certificates, fleet, installation, keys, rights
from caas_cli.doctor.finding import Finding
from caas_cli.home import Home
from caas_tasks.names import Lane
from caas_tasks.redis_url import parse_broker_url
from worker.keystore import file

NOW_S = 1_700_000_000.0
NOW = datetime.fromtimestamp(NOW_S, UTC)
VERSION = metadata.version("caas")


class Server:
    """A broker that tells what it is given, and refuses the rest."""

    def __init__(self, **sections: dict[str, Any]) -> None:
        self._sections = sections

    def ping(self) -> bool:
        return True

    def time(self) -> tuple[int, int]:
        raise NoPermissionError

    def info(self, section: str) -> dict[str, Any]:
        if section not in self._sections:
            raise NoPermissionError
        return self._sections[section]


def bad(findings: list[Finding]) -> list[str]:
    assert all(finding.advice for finding in findings if not finding.is_ok)
    return [finding.name for finding in findings if not finding.is_ok]


GOOD_MEMORY = {"maxmemory_policy": "noeviction", "maxmemory": 100 << 20, "used_memory": 1 << 20}
GOOD_DISK = {"aof_enabled": 1, "aof_last_write_status": "ok"}


@pytest.mark.parametrize(
    ("sections", "names"),
    [
        ({"memory": GOOD_MEMORY, "persistence": GOOD_DISK}, []),
        ({"memory": {**GOOD_MEMORY, "maxmemory_policy": "allkeys-lru"}}, ["eviction"]),
        ({"memory": {**GOOD_MEMORY, "used_memory": 90 << 20}}, ["eviction"]),
        ({"persistence": {"aof_enabled": 0}}, ["persistence"]),
        ({"persistence": {**GOOD_DISK, "aof_last_write_status": "err"}}, ["persistence"]),
        ({}, []),
    ],
)
def test_settings_that_lose_data_are_found(sections: Any, names: list[str]) -> None:
    """Eviction, a broker that is nearly full, and what would not outlive a restart."""
    assert bad(broker.ask(Server(**sections), "unix:/x")) == names


def test_a_user_with_few_rights_may_still_ask_the_doctor() -> None:
    """What a client's user may not ask of the broker is left out, and is no fault."""
    (finding,) = broker.ask(Server(), "unix:/x")
    assert finding == Finding("broker", True, "unix:/x answers")


class Users:
    """A broker's ACL: who may do what, by a rule of the test."""

    def __init__(self, names: list[str], may: Any) -> None:
        self._names = names
        self._may = may

    def execute_command(self, *command: str) -> Any:
        if command[:2] == ("ACL", "USERS"):
            return [name.encode() for name in self._names]
        assert command[:2] == ("ACL", "DRYRUN")
        return b"OK" if self._may(command[3:]) else b"User has no permissions"


SOCKET = parse_broker_url("redis+socket:///x.sock")
TCP = parse_broker_url("redis://127.0.0.1:6379/0")


@pytest.mark.parametrize(
    ("names", "may", "url", "is_ok"),
    [
        (["default", "caas-client"], lambda c: c not in rights.FORBIDDEN, TCP, True),
        (["default", "caas-worker"], lambda _c: True, TCP, False),
        (["default", "caas-worker"], lambda c: c[0] != "BRPOP", TCP, False),
        (["default"], lambda _c: True, TCP, False),
        (["default"], lambda _c: True, SOCKET, True),
    ],
)
def test_rights_by_dry_run(names: list[str], may: Any, url: Any, is_ok: bool) -> None:
    """Too few rights, too many, or no users at all, are found; a private socket needs none."""
    findings = rights.users(Users(names, may), url)
    assert [finding.is_ok for finding in findings] == [is_ok]
    bad(findings)


def test_rights_are_not_asked_without_the_right_to() -> None:
    """A client's own user can't look at others, and that is as it should be."""

    class Refusing:
        def execute_command(self, *_command: str) -> Any:
            raise ResponseError

    (finding,) = rights.users(Refusing(), TCP)
    assert (finding.is_ok, "not asked" in finding.detail) == (True, True)


def about(*lanes: Lane, **changes: Any) -> dict[str, Any]:
    """A worker's answer."""
    said = {"version": VERSION, "lanes": [lane.value for lane in lanes]}
    return {**said, "now_ms": int(NOW_S * 1_000), **changes}


@pytest.mark.parametrize(
    ("answers", "names"),
    [
        ([about(*Lane)], []),
        ([about(Lane.FAST, Lane.BULK), about(Lane.PASSWORD)], []),
        ([about(Lane.FAST)], ["workers", "workers"]),
        ([], ["workers", "workers", "workers"]),
        ([about(*Lane), about(*Lane, version="0.0.1")], ["releases"]),
        ([about(*Lane), {"error": "unknown"}], ["releases"]),
        ([about(*Lane, now_ms=int(NOW_S * 1_000) + 60_000)], ["clock"]),
        ([about(*Lane, now_ms=int(NOW_S * 1_000) - 60_000)], ["clock"]),
        ([about(*Lane, now_ms=int(NOW_S * 1_000) - 1_200)], []),
        ([about(*Lane, now_ms="x")], []),
    ],
)
def test_workers_are_judged(answers: list[dict[str, Any]], names: list[str]) -> None:
    """A lane without a worker, releases apart and clocks apart are found."""
    assert bad(fleet.judge(answers, NOW_S)) == names


def certificate(days: float, *, starts_in: float = -30) -> bytes:
    """A self-signed certificate that ends in so many days, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW + timedelta(days=starts_in))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("redis")]), critical=False)
    )
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("pem", "is_ok", "text"),
    [
        (certificate(90), True, "redis) ends in 90 day(s)"),
        (certificate(7), False, "ends in 7 day(s)"),
        (certificate(-1), False, "has expired"),
        (certificate(90, starts_in=1), False, "not valid yet"),
        (b"no certificate", False, "is no PEM certificate"),
    ],
)
def test_certificates_are_judged(
    made: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pem: bytes, is_ok: bool, text: str
) -> None:
    """Names and end of each certificate; one that ends soon or has ended is found."""
    path = tmp_path / "cert.pem"
    path.write_bytes(pem)
    monkeypatch.setenv("CAAS_GATEWAY_TLS_CERT", str(path))
    (finding,) = certificates.files(made, lambda: NOW)
    assert (finding.is_ok, text in finding.detail) == (is_ok, True)
    bad([finding])


def test_a_certificate_that_is_not_there_is_found(
    made: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that leads nowhere."""
    monkeypatch.setenv("CAAS_BROKER_CA", str(tmp_path / "none.pem"))
    (finding,) = certificates.files(made)
    assert (finding.is_ok, "cannot be read" in finding.detail) == (False, True)


def changed_keystore(made: Home, change: Any) -> None:
    file.update(made.keystore, file.load_identities(made.identity), change)


def test_a_version_that_will_be_destroyed_is_told(made: Home, monkeypatch: Any) -> None:
    """While it can still be kept."""
    opened = file.load(made.keystore, file.load_identities(made.identity))
    version = opened.key_versions[0].model_copy(update={"destroy_at": int(NOW_S) + 7_200})
    planned = opened.model_copy(update={"key_versions": (version,)})
    monkeypatch.setattr(file, "load", lambda *_: planned)
    found = keys.keystore(made, lambda: NOW_S)
    (finding,) = [finding for finding in found if finding.name == "destroy"]
    assert "in 2 h" in finding.detail


def test_an_api_key_that_expires_soon_is_found(made: Home) -> None:
    """In time to give the main server another."""

    def expire(keystore: Any) -> Any:
        key = keystore.api_keys[0].model_copy(update={"expires_at": int(NOW_S) + 3 * 86_400})
        return keystore.model_copy(update={"api_keys": (key, *keystore.api_keys[1:])})

    changed_keystore(made, expire)
    assert bad(keys.keystore(made, lambda: NOW_S)) == ["api key"]


def test_audit_log_without_its_folder_is_found(
    made: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers would refuse every request."""
    monkeypatch.setenv("CAAS_AUDIT_DIR", str(tmp_path / "none"))
    assert bad(installation.audit(made)) == ["audit"]


def test_audit_log_on_a_full_disk_is_found(
    made: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it refuses requests."""
    monkeypatch.setenv("CAAS_AUDIT_DIR", str(tmp_path))
    assert bad(installation.audit(made)) == []
    monkeypatch.setattr(installation, "MIN_FREE_BYTES", 1 << 60)
    assert bad(installation.audit(made)) == ["audit"]
