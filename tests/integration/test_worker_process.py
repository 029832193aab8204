"""The worker as a process: how it starts, refuses to start, reloads its keystore and stops."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest
from rig.hold import HOLD, Hold
from rig.load import Load
from rig.process import DEADLINE_S, PROJECT, LoggedProcess, environment
from rig.stack import KeystoreFolder, Stack

from caas_tasks import api_key
from producer_client import Client, ServiceError, UnauthorizedError
from worker.keystore import change, document, file

pytestmark = pytest.mark.integration

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
DATA = "example sensitive data"
EX_CONFIG = 78


def celery(env: dict[str, str | None], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the worker's Celery app to its end."""
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", *arguments],
        env=environment(env),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.mark.parametrize("pool", ["solo", "prefork", "threads"])
def test_a_stopped_worker_finishes_what_it_began(
    new_stack: Callable[..., Stack], hold: Hold, pool: str
) -> None:
    """After SIGTERM the operation under way is finished and answered; then the worker ends."""
    stack = new_stack()
    worker = stack.start_worker(pool=pool, plugins=["rig.plugins.hold"], env=hold.env)
    stack.wait_until_ready()
    client = stack.client(timeout_s=DEADLINE_S)
    load = Load([(USER, HOLD)], lambda user, data: client.encrypt(user, data).encrypted_data, 1)
    load.start()
    hold.wait_until_begun()
    worker.terminate()
    worker.wait_for("Warm shutdown")
    hold.release()
    values = [outcome.value for outcome in load.outcomes()]
    assert (values, worker.wait()) == (stack.keystore.expected_encrypted([(USER, HOLD)]), 0)


def _missing(_folder: Path, keystore: KeystoreFolder) -> None:
    keystore.path.unlink()


def _empty(_folder: Path, keystore: KeystoreFolder) -> None:
    keystore.path.write_bytes(b"")


def _of_another(folder: Path, keystore: KeystoreFolder) -> None:
    other = folder / "other"
    other.mkdir()
    keystore.path.write_bytes(KeystoreFolder(other).path.read_bytes())


def _half_written(_folder: Path, keystore: KeystoreFolder) -> None:
    whole = keystore.path.read_bytes()
    keystore.path.write_bytes(whole[: len(whole) // 2])


def _of_a_future_version(_folder: Path, keystore: KeystoreFolder) -> None:
    record = json.loads(document.encode(keystore.load()))
    record["format_version"] = document.FORMAT_VERSION + 1
    recipients = [pyrage.x25519.Recipient.from_str(text) for text in record["recipients"]]
    keystore.path.write_bytes(pyrage.encrypt(json.dumps(record).encode(), recipients))


def _no_keystore(_folder: Path, keystore: KeystoreFolder) -> None:
    keystore.path.write_bytes(b"age-encryption.org/v1\n")


def _identity_missing(_folder: Path, keystore: KeystoreFolder) -> None:
    keystore.identity_path.unlink()


def _identity_empty(_folder: Path, keystore: KeystoreFolder) -> None:
    keystore.identity_path.write_text("# no identity\n")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_missing, "not found"),
        (_empty, "is empty"),
        (_of_another, "does not open with this identity"),
        (_half_written, "damaged"),
        (_of_a_future_version, "format version 2"),
        (_no_keystore, "damaged"),
        (_identity_missing, "identity file"),
        (_identity_empty, "holds no age identity"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_worker_without_its_keystore_refuses_to_start(
    tmp_path: Path, spoil: Callable[[Path, KeystoreFolder], None], reason: str
) -> None:
    """It exits with the code for a wrong configuration and one line that names the reason."""
    keystore = KeystoreFolder(tmp_path)
    spoil(tmp_path, keystore)
    ended = celery(
        {
            "CAAS_BROKER_URL": f"redis+socket://{tmp_path}/nobody.sock",
            "CAAS_KEYSTORE": str(keystore.path),
            "CAAS_IDENTITY": str(keystore.identity_path),
        },
        *("worker", "--pool=solo"),
    )
    lines = ended.stderr.splitlines()
    found = (ended.returncode, len(lines), reason in "".join(lines), ended.stdout)
    assert found == (EX_CONFIG, 1, True, ""), ended


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAAS_BROKER_URL", None),
        ("CAAS_BROKER_URL", "amqp://user:canary-of-a-password@host"),
        ("CAAS_LOG_LEVEL", "canary-of-a-level"),
    ],
)
def test_a_worker_with_a_wrong_setting_names_it_and_not_its_value(
    tmp_path: Path, name: str, value: str | None
) -> None:
    """It exits with the code for a wrong configuration and one line with the variable's name."""
    env: dict[str, str | None] = {"CAAS_BROKER_URL": f"redis+socket://{tmp_path}/nobody.sock"}
    ended = celery({**env, name: value}, *("worker", "--pool=solo"))
    found = (
        ended.returncode,
        len(ended.stderr.splitlines()),
        name in ended.stderr,
        "canary" in ended.stdout + ended.stderr,
    )
    assert found == (EX_CONFIG, 1, True, False), ended


def outcome_becomes(wanted: type[ServiceError] | None, call: Callable[[], object]) -> bool:
    """Call until it succeeds (`wanted` None) or fails as wanted; calls are the waiting."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        try:
            call()
        except ServiceError as error:
            if wanted is not None and isinstance(error, wanted):
                return True
        else:
            if wanted is None:
                return True
    return False


@pytest.fixture
def running(new_stack: Callable[..., Stack]) -> Stack:
    """A service of the test's own with a worker, `.workers[0]`, whose keystore may change."""
    stack = new_stack()
    stack.start_worker()
    stack.wait_until_ready()
    return stack


def test_a_new_api_key_is_noticed_without_a_restart(running: Stack) -> None:
    """A key that is added while the worker runs can soon be used."""
    client = running.client(api_key=running.keystore.add_api_key())
    assert outcome_becomes(None, lambda: client.encrypt(USER, DATA))


def test_a_revoked_api_key_is_refused_without_a_restart(running: Stack) -> None:
    """A key that worked is soon refused once it is revoked."""
    client = running.client(timeout_s=DEADLINE_S)
    client.encrypt(USER, DATA)
    key_id = api_key.parse_id(running.keystore.api_key)
    running.keystore.update(lambda old: change.revoke_api_key(old, key_id, int(time.time())))
    assert outcome_becomes(UnauthorizedError, lambda: client.encrypt(USER, DATA))


def read_until_reported(worker: LoggedProcess, client: Client) -> None:
    """Call until the worker has looked at its keystore and said what is wrong."""
    end = time.monotonic() + DEADLINE_S
    while "keystore not reloaded" not in worker.log and time.monotonic() < end:
        client.encrypt(USER, DATA)


def test_a_bad_keystore_file_is_survived(running: Stack) -> None:
    """The last good keystore stays in use, and the log says so once."""
    client = running.client(timeout_s=DEADLINE_S)
    running.keystore.path.write_bytes(b"no age file")
    read_until_reported(running.workers[0], client)
    stored = client.encrypt(USER, DATA)
    found = (len(stored.encrypted_data), running.workers[0].log.count("keystore not reloaded"))
    assert found == (96, 1)


def test_a_good_keystore_file_after_a_bad_one_is_noticed(running: Stack) -> None:
    """A worker that kept its last good keystore takes the next good one."""
    whole = running.keystore.load()
    running.keystore.path.write_bytes(b"no age file")
    read_until_reported(running.workers[0], running.client(timeout_s=DEADLINE_S))
    running.keystore.path.unlink()
    file.create(running.keystore.path, whole)
    client = running.client(api_key=running.keystore.add_api_key())
    assert outcome_becomes(None, lambda: client.encrypt(USER, DATA))


def test_inspect_ping_is_answered(stack: Stack) -> None:
    """Celery's own remote control reaches the worker."""
    ended = celery(stack.env, "inspect", "ping", "--json", "--timeout=30", "-d", "w1@rig")
    answer: Any = json.loads(ended.stdout)
    assert answer == {"w1@rig": {"ok": "pong"}}


def test_a_worker_waits_for_a_broker_that_comes_later(tmp_path: Path) -> None:
    """A worker that is started before its broker serves as soon as there is one."""
    with Stack(tmp_path) as stack:
        stack.broker.kill()
        worker = stack.start_worker()
        worker.wait_for("Cannot connect to")
        stack.broker.start()
        value = stack.client().encrypt(USER, DATA, timeout_s=DEADLINE_S).encrypted_data
        assert value == stack.keystore.expected_encrypted([(USER, DATA)])[0]
