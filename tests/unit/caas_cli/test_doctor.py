"""`caas doctor`: each fault is found and comes with what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caas_cli import client_env, doctor
from caas_cli.doctor import Finding, broker, fleet
from caas_cli.exit_codes import ExitCode
from caas_cli.home import Home
from caas_tasks.errors import (
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
    UnreadableMessageError,
)
from caas_tasks.limits import CLOCK_TOLERANCE_MS


class FakeBroker:
    """Answers as a server whose clock is off."""

    def __init__(self, now_s: Callable[[], float], skew_s: float) -> None:
        self._now_s = now_s
        self._skew_s = skew_s

    def ping(self) -> bool:
        return True

    def time(self) -> tuple[int, int]:
        seconds = self._now_s() + self._skew_s
        return int(seconds), round(seconds % 1 * 1_000_000)

    def info(self, _section: str) -> dict[str, Any]:
        return {"redis_version": "7.2.4", "valkey_version": "9.1.2"}


def found(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_broker_that_is_not_there_is_found(made: Home) -> None:
    """Nothing listens yet: the finding says how to start it."""
    finding = found(doctor.examine(made), "broker")
    assert (finding.is_ok, "caas up" in finding.advice) == (False, True)


def test_missing_installation_is_found(home: Home) -> None:
    """Without a keystore the finding says how to make one."""
    assert "caas init" in found(doctor.examine(home), "keystore").advice


@pytest.mark.parametrize(
    ("lost", "section"),
    [("identity.txt", "A lost identity"), ("keystore.age", "Restore from a backup")],
)
def test_lost_file_leads_to_the_guide(made: Home, lost: str, section: str) -> None:
    """Of a host that had both files, the one that is missing names the section that helps."""
    (made.folder / lost).unlink()
    finding = found(doctor.examine(made), "keystore")
    assert (finding.is_ok, section in finding.advice) == (False, True)


def test_damaged_keystore_leads_to_the_guide(made: Home) -> None:
    """A file that doesn't open is to be restored."""
    made.keystore.write_bytes(b"damaged")
    assert "Restore from a backup" in found(doctor.examine(made), "keystore").advice


def test_sections_that_the_doctor_names_are_in_the_guide() -> None:
    """No advice leads to a section that isn't there."""
    guide = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    named = {"A lost identity", "Restore from a backup", "Upgrade without downtime"}
    assert {f"## {section}" for section in named} <= set(guide.splitlines())


def test_main_server_needs_no_keystore(made: Home) -> None:
    """A host with a client's settings alone is no fault."""
    made.keystore.unlink()
    made.identity.unlink()
    assert found(doctor.examine(made), "keystore").is_ok


def test_damaged_keystore_is_found(made: Home) -> None:
    """A keystore that doesn't open is a finding, not an exception."""
    made.keystore.write_bytes(b"damaged")
    assert not found(doctor.examine(made), "keystore").is_ok


def test_file_open_to_others_is_found(made: Home) -> None:
    """The advice is the command that closes it."""
    made.identity.chmod(0o644)
    assert found(doctor.examine(made), "permissions").advice == f"chmod 600 {made.identity}"


def test_server_key_of_another_installation_is_found(made: Home) -> None:
    """A public key that isn't the keystore's is found before a call fails."""
    client_env.write_changed(made.client_env, {client_env.SERVER_KEY: "caaspub1.other"})
    assert not found(doctor.examine(made), "server key").is_ok


def test_versions_are_told(made: Home) -> None:
    """What is installed is in the findings, for a report."""
    assert "celery 5." in found(doctor.examine(made), "versions").detail


@pytest.mark.parametrize(("skew_s", "is_ok"), [(0, True), (CLOCK_TOLERANCE_MS / 1_000 + 1, False)])
def test_clock_that_is_off_is_found(
    monkeypatch: pytest.MonkeyPatch, skew_s: float, is_ok: bool
) -> None:
    """Clocks further apart than messages allow for are found."""
    monkeypatch.setattr(broker.time, "time", lambda: 1_700_000_000.5)
    findings = broker.ask(FakeBroker(broker.time.time, skew_s), "unix:/x")
    assert found(findings, "clock").is_ok is is_ok


def test_valkeys_own_version_is_told() -> None:
    """Valkey reports a Redis version too; its own is the one to show."""
    findings = broker.ask(FakeBroker(broker.time.time, 0), "unix:/x")
    assert found(findings, "broker").detail == "unix:/x answers, version 9.1.2"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (RequestTimeoutError(), "caas worker"),
        (UnreadableMessageError(), "another keystore"),
        (ServiceUnavailableError(), "broker above"),
    ],
)
def test_worker_that_does_not_answer_is_explained(
    made: Home, monkeypatch: pytest.MonkeyPatch, error: ServiceError, advice: str
) -> None:
    """Each way a ping fails has its own advice."""

    def fail(_client: object, *, timeout_s: float) -> None:
        raise error

    monkeypatch.setattr("producer_client.Client.ping", fail)
    (finding,) = fleet.worker(made)
    assert (finding.is_ok, advice in finding.advice) == (False, True)


def test_worker_is_not_asked_without_a_broker(made: Home) -> None:
    """A call that can't leave this host is not waited for."""
    assert found(doctor.examine(made), "worker").detail == "not asked"


def test_findings_end_with_exit_code_1(made: Home, run: Any) -> None:
    """Scripts learn from the exit code that something was found."""
    assert run("doctor").exit_code == ExitCode.NEGATIVE


def test_json_has_every_check(made: Home, run: Any) -> None:
    """`--json` gives a script names, outcomes and advice."""
    checks = json.loads(run("doctor", "--json").stdout)
    assert {tuple(check) for check in checks} == {("name", "is_ok", "detail", "advice")}


def test_api_key_is_never_shown(made: Home, run: Any) -> None:
    """A report can be passed on."""
    key = client_env.read(made.client_env)[client_env.API_KEY]
    assert key not in run("doctor").output
