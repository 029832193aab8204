"""docs/operations.md: every command of every section, on an installation as the section finds it.

A section's commands run block by block, and what it promises is looked at between and after them. A
command that no scene has run fails its scene; a section without a scene fails the first test.
"""

from __future__ import annotations

import csv
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ops_rig.guide import Scene, commands_of_all, eventually, sections
from rig.stack import free_port

from caas_cli import api_keys, keys
from producer_client import (
    Client,
    KeyUnavailableError,
    ServiceError,
    ServiceUnavailableError,
    UnreadableMessageError,
    inspect,
)
from worker.keystore import file
from worker.keystore.document import State
from worker.keystore.errors import KeystoreError

pytestmark = pytest.mark.ops

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
DATA = "example sensitive data"
NewScene = Callable[[str], Scene]
PLAYED = (
    "Install",
    "Back up",
    "Upgrade without downtime",
    "Rotate",
    "Restore from a backup",
    "A leaked API key",
    "A stolen keystore file",
    "A stolen keystore with its identity",
    "A compromised broker",
    "A lost identity",
)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[NewScene]:
    """Makes the scene of a section; in the end all its commands must have been run."""
    made: list[Scene] = []

    def make(section: str) -> Scene:
        made.append(Scene(tmp_path, section))
        return made[-1]

    yield make
    for each in made:
        each.close()
        assert each.not_run() == []


def refused(client: Client) -> str:
    """The code that a call is refused with; empty when it is answered."""
    try:
        client.encrypt(USER, DATA)
    except ServiceError as error:
        return error.code
    return ""


def opens(scene: Scene, identity: Path) -> bool:
    try:
        scene.keystore(identity)
    except KeystoreError:
        return False
    return True


def test_every_section_has_its_scene() -> None:
    """No section of the guide has commands that nobody runs."""
    found = sections()
    assert tuple(found) == PLAYED
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
    client, over = play.client(), threading.Event()
    answers: list[str] = []

    def call_on() -> None:
        while not over.is_set():
            answers.append(
                client.candidates(f"4dbcbcfe-4800-40a8-badf-{len(answers):012x}", DATA)[
                    0
                ].encrypted_data
            )

    caller = threading.Thread(target=call_on)
    caller.start()
    play.block()
    assert old.wait() == 0
    over.set()
    caller.join()
    assert len(answers) > 0


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
    assert eventually(lambda: old.encrypt(USER, DATA).key_version == 2)
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
    value, token = client.encrypt(USER, DATA).encrypted_data, client.seal(USER, b"data")
    play.names |= {
        "BACKUP": str(backup),
        "WORKER-HOME": str(play.copy_home("worker")),
        "AGE-RECIPIENT": play.own_recipient(),
    }
    play.block()
    old = play.client(api_key=api_key)
    assert eventually(lambda: refused(client) == "unauthorized")
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


def test_leaked_api_key(scene: NewScene) -> None:
    """The leaked key is refused, the new one works, and the log tells what the old one did."""
    play = scene("A leaked API key")
    play.start_broker()
    leaked = play.install()
    play.start_worker()
    thief = play.client()
    stored = thief.encrypt(USER, DATA).encrypted_data
    play.block()
    assert eventually(lambda: refused(thief) == "unauthorized")
    server = play.client()
    assert server.verify(USER, DATA, stored)
    play.block()
    assert refused(play.client(api_key=leaked)) == "unauthorized"
    (lines,) = play.block()
    told = [json.loads(line) for line in lines.splitlines()]
    assert {(line["operation"], line["outcome"]) for line in told} >= {("encrypt", "ok")}
    assert DATA not in lines


def test_stolen_file(scene: NewScene) -> None:
    """Neither old identity opens the new file, both new ones do; the stolen copy stays."""
    play = scene("A stolen keystore file")
    play.install()
    stolen = play.folder / "stolen.age"
    shutil.copy(play.home.keystore, stolen)
    old = play.folder / "old-identity.txt"
    shutil.copy(play.home.identity, old)
    before = play.keystore()
    play.block()
    new = play.folder / "safe" / "new.txt"
    assert [opens(play, each) for each in (old, play.recovery)] == [False, False]
    assert [opens(play, each) for each in (play.home.identity, new)] == [True, True]
    assert play.keystore().key_versions == before.key_versions
    assert file.load(stolen, file.load_identities(old)) == before


def test_stolen_file_with_identity(scene: NewScene) -> None:
    """Identity, messages, API key and root of the thief end one by one; nobody is locked out."""
    play = scene("A stolen keystore with its identity")
    play.start_broker()
    play.install()
    play.start_worker()
    thief = play.folder / "thief.txt"
    shutil.copy(play.home.identity, thief)
    old = play.client()
    stored, token = old.encrypt(USER, DATA).encrypted_data, old.seal(USER, b"home", b"address")
    play.block()
    assert (opens(play, thief), opens(play, play.recovery)) == (False, False)
    play.block()
    old_key = play.client()  # of the new service key, and still of the old API key
    assert eventually(lambda: refused(old_key) == "")
    with pytest.raises(UnreadableMessageError):
        play.client(server_key=play.first_server_key).ping()
    play.block()
    assert eventually(lambda: refused(old_key) == "unauthorized")
    play.block()
    client = play.client()
    assert eventually(lambda: client.encrypt(USER, DATA).key_version == 2)
    assert client.verify(USER, DATA, stored, 1).needs_update
    (play.folder / "tokens.csv").write_text(f"uuid,token\n{USER},{token}\n")
    play.block()
    (row,) = csv.DictReader((play.folder / "rewrapped.csv").read_text().splitlines())
    assert inspect(row["token"]).key_version == 2
    assert client.open(USER, row["token"], b"address") == b"home"
    play.block()
    assert play.keystore().key_versions[0].state is State.DISABLED
    assert eventually(lambda: is_unavailable(client, stored))
    assert client.open(USER, row["token"], b"address") == b"home"


def is_unavailable(client: Client, stored: str) -> bool:
    """Whether a value of version 1 is answered as one that can't be had any more."""
    try:
        client.verify(USER, DATA, stored, 1)
    except KeyUnavailableError:
        return True
    return False


def test_compromised_broker(scene: NewScene) -> None:
    """Another broker serves the same values, and the old one held neither data nor API key."""
    play = scene("A compromised broker")
    old = play.start_broker()
    api_key = play.install()
    play.start_worker()
    stored = play.client().encrypt(USER, DATA)
    play.names["NEW-BROKER-URL"] = play.start_broker("new").url
    play.block()
    play.run("CAAS_HOME=containers caas init --compose")
    play.env["CAAS_HOME"] = "containers"
    secrets = play.folder / "containers" / "compose"
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    play.block()
    same = {name for name, held in before.items() if (secrets / name).read_bytes() == held}
    assert same == {"server-key", "grafana-password"}
    old.kill()
    held = b"".join(path.read_bytes() for path in (play.folder / "broker").rglob("*.aof"))
    assert (api_key.encode() in held, DATA.encode() in held, b"caas" in held) == (
        False,
        False,
        True,
    )
    with play.client(broker_url=play.names["NEW-BROKER-URL"]) as client:
        assert client.encrypt(USER, DATA) == stored


def test_lost_identity(scene: NewScene) -> None:
    """A new identity opens, the lost one doesn't; later the recovery identity is replaced alike."""
    play = scene("A lost identity")
    play.start_broker()
    play.install()
    play.start_worker()
    client = play.client()
    stored = client.encrypt(USER, DATA).encrypted_data
    lost = play.home.identity.rename(play.folder / "lost.txt")
    recovery = play.recovery.read_bytes()
    play.block()
    assert play.recovery.read_bytes() == recovery
    assert [opens(play, each) for each in (play.home.identity, play.recovery)] == [True, True]
    assert not opens(play, lost)
    play.block()
    assert not opens(play, play.recovery)
    assert opens(play, play.folder / "safe" / "new.txt")
    # The worker has read the files: it knows a key that was made since.
    later = play.client(api_key=play.make_api_key())
    assert eventually(lambda: refused(later) == "")
    assert later.verify(USER, DATA, stored)
