"""The guards that a worker's settings ask for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caas_tasks.errors import ConfigurationError
from caas_tasks.settings import load_settings
from worker import guards
from worker.guards import Guards
from worker.settings import WorkerSettings

AUDIT_KEY = bytes(range(32))
BROKER = "redis://127.0.0.1:1/0"


def now_ms() -> int:
    return 1_760_000_000_000


@pytest.fixture
def build() -> Callable[..., Guards]:
    """Guards for settings, with an audit key unless the test says otherwise."""

    def make(*, audit_key: bytes | None = AUDIT_KEY, **settings: Any) -> Guards:
        loaded = load_settings(WorkerSettings, **{"broker_url": BROKER, **settings})
        return guards.build(loaded, audit_key, now_ms)

    return make


def test_defaults(build: Callable[..., Guards]) -> None:
    """By default guesses are limited and no audit log is written; nothing is connected to."""
    made = build()
    assert made.limits is not None
    assert made.audit is None
    made.close()


def test_limits_switched_off(
    build: Callable[..., Guards], caplog: pytest.LogCaptureFixture
) -> None:
    """Without a limit the worker says so, and needs no audit key."""
    assert build(guess_limits="off", audit_key=None).limits is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING


@pytest.mark.parametrize("settings", [{}, {"guess_limits": False, "audit_dir": "audit"}])
def test_keystore_without_an_audit_key(
    build: Callable[..., Guards], settings: dict[str, Any]
) -> None:
    """An older keystore is refused with the command that adds what is missing."""
    with pytest.raises(ConfigurationError, match=r"^The keystore has no audit key.*caas key"):
        build(audit_key=None, **settings)


def test_audit_log_is_begun_and_ended(build: Callable[..., Guards], tmp_path: Path) -> None:
    """With a folder the log is there from the start, and its last line at the end."""
    made = build(audit_dir=tmp_path / "audit")
    assert made.audit is not None
    made.close()
    assert made.audit.path.read_bytes().count(b"\n") == 2


def test_audit_log_that_cannot_be_written(build: Callable[..., Guards], tmp_path: Path) -> None:
    """A required log that can't be begun stops the worker, by the setting's name."""
    (tmp_path / "audit").write_text("")
    with pytest.raises(ConfigurationError, match=r"^CAAS_AUDIT_DIR: .*: File exists\.$"):
        build(audit_dir=tmp_path / "audit")
    assert build(audit_dir=tmp_path / "audit", audit_required=False).audit is not None


def test_empty_settings_are_unset(
    build: Callable[..., Guards], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a compose file leaves empty is as if it were not there."""
    monkeypatch.setenv("CAAS_AUDIT_DIR", "")
    monkeypatch.setenv("CAAS_COUNTER_URL", "")
    assert build().audit is None


def test_counters_have_an_address_of_their_own() -> None:
    """The counters are where the setting says, else at the first broker."""
    brokers = f"{BROKER},redis://127.0.0.1:2/0"
    settings = load_settings(WorkerSettings, broker_url=brokers)
    assert settings.counter_broker().address == ("127.0.0.1", 1)
    settings = load_settings(
        WorkerSettings, broker_url=brokers, counter_url="redis://127.0.0.1:3/0"
    )
    assert settings.counter_broker().address == ("127.0.0.1", 3)


def test_wrong_counter_address(build: Callable[..., Guards]) -> None:
    """A wrong address is refused by the setting's name, and not shown."""
    with pytest.raises(ConfigurationError, match=r"^CAAS_COUNTER_URL: ") as caught:
        build(counter_url="amqp://canary")
    assert "canary" not in str(caught.value)
    assert "CAAS_BROKER_URL" not in str(caught.value)
