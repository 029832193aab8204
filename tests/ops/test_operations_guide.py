"""docs/operations.md: every command of every section, on an installation as the section finds it.

A section's commands run block by block, and what it promises is looked at between and after them. A
command that no scene has run fails its scene; a section without a scene fails the first test.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from ops_rig.guide import (
    Calls,
    NewScene,
    commands_of_all,
    eventually,
    made_with,
    opens,
    refused,
    sections,
)
from rig.stack import free_port

from caas_cli import api_keys, keys, service_keys
from producer_client import ServiceUnavailableError

pytestmark = pytest.mark.ops

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
DATA = "example sensitive data"
SCENE = re.compile(r'scene\("(.+?)"\)')


def test_every_section_has_its_scene() -> None:
    """No section of the guide has commands that nobody runs, and none stands outside of them."""
    found = sections()
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_operations_*.py")]
    assert sorted(SCENE.findall("".join(tests))) == sorted(found)
    commands = [command for blocks in found.values() for block in blocks for command in block]
    assert commands == commands_of_all()


def test_install(scene: NewScene) -> None:
    """The three parts answer, the doctor is content, and no recovery identity was on the host."""
    play = scene("Install")
    play.names["PORT"] = str(free_port())
    play.start_broker()
    play.block()
    assert not play.home.recovery_identity.exists()
    assert opens(play, play.recovery)
    play.block()
    with play.client() as client:
        stored = client.hash_password(USER, DATA)
        assert client.verify_password(USER, DATA, stored)


def test_back_up(scene: NewScene) -> None:
    """The backup opens with the recovery identity alone, stays as it is, and its values verify."""
    play = scene("Back up")
    play.install()
    backup = play.folder / "backup.age"
    play.names |= {"BACKUP": str(backup), "USER-UUID": USER}
    play.block()
    before = backup.read_bytes()
    (listed,) = play.block()
    assert "primary" in listed
    play.names["STORED-VALUE"] = play.computed(USER, DATA)
    *_, verified = play.block()
    assert "valid" in verified
    assert backup.read_bytes() == before


def test_upgrade(scene: NewScene) -> None:
    """Workers are replaced while calls go on, and every call gets its answer."""
    play = scene("Upgrade without downtime")
    play.start_broker()
    play.install()
    old = play.start_worker()
    play.start("caas worker --lane password &")
    play.names["OLD-PID"] = str(old.pid)
    with Calls(play.client()) as calls:
        play.block()
        assert old.wait() == 0
    assert calls.answered > 0
    assert calls.failed == []


def test_rotate(scene: NewScene) -> None:
    """New values come from the new keys, old values, messages and API keys stay good."""
    play = scene("Rotate")
    play.start_broker()
    first_key = play.install()
    other = play.copy_home("worker")
    play.names["WORKER-HOME"] = str(other)
    play.start_worker(other)
    old = play.client()
    stored = old.encrypt(USER, DATA)
    play.block()
    assert eventually(lambda: made_with(old) == 2)
    assert old.verify(USER, DATA, stored.encrypted_data, 1).needs_update
    play.block()
    assert play.client().encrypt(USER, DATA).key_version == 2
    assert old.encrypt(USER, DATA).key_version == 2
    play.block()
    before = (other / "identity.txt").read_bytes()
    for name in ("identity.txt", "keystore.age"):
        shutil.copy(play.home.folder / name, other / name)
    assert (other / "identity.txt").read_bytes() != before
    new = play.client()
    assert eventually(lambda: refused(new) == "")
    assert play.client(api_key=first_key).encrypt(USER, DATA).key_version == 2


def test_restore(scene: NewScene) -> None:
    """What an older backup lacks, and what it brings back, is put right; the audit log is whole."""
    play = scene("Restore from a backup")
    play.start_broker()
    api_key = play.install()
    play.start_worker()
    backup = play.folder / "backup.age"
    shutil.copy(play.home.keystore, backup)
    new_key = play.make_api_key()
    api_keys.revoke(play.home, play.names["API-KEY-ID"])
    keys.rotate(play.home, keys.Rotation(), dry_run=False)
    keys.promote(play.home, 2, dry_run=False)
    client = play.client(api_key=new_key)
    assert eventually(lambda: refused(client) == "")
    assert client.encrypt(USER, DATA).key_version == 2
    service_keys.rotate(play.home, retire_old=True, dry_run=False)
    newest = play.client(api_key=new_key)
    value, token = client.encrypt(USER, DATA).encrypted_data, client.seal(USER, b"data")
    play.names |= {
        "BACKUP": str(backup),
        "WORKER-HOME": str(play.copy_home("worker")),
        "AGE-RECIPIENT": play.own_recipient(),
    }
    play.block()
    assert eventually(lambda: refused(client) == "unauthorized")
    assert refused(newest) == "unreadable"
    play.hand_out(api_key, play.first_server_key)
    old = play.client()
    assert refused(old) == ""
    for ask in (lambda: old.verify(USER, DATA, value, 2), lambda: old.open(USER, token)):
        with pytest.raises(ServiceUnavailableError):
            ask()
    assert not old.verify(USER, DATA, value)
    play.block()
    assert eventually(lambda: refused(old) == "unauthorized")
    again = play.client(api_key=play.make_api_key())
    assert eventually(lambda: refused(again) == "")
    assert again.verify(USER, DATA, value, 2)
    assert again.open(USER, token) == b"data"
    (verdict,) = play.block()
    assert "line" in verdict
