"""docs/operations.md, what was lost or stolen: every command, and what the section promises."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
from ops_rig.guide import NewScene, eventually, made_with, opens, refused

from producer_client import Client, KeyUnavailableError, UnreadableMessageError, inspect
from worker.keystore import file
from worker.keystore.document import State

pytestmark = pytest.mark.ops

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
DATA = "example sensitive data"


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
    assert eventually(lambda: made_with(client) == 2)
    assert client.verify(USER, DATA, stored, 1).needs_update
    (play.folder / "tokens.csv").write_text(f"uuid,token\n{USER},{token}\n")
    play.block()
    (row,) = csv.DictReader((play.folder / "rewrapped.csv").read_text().splitlines())
    assert inspect(row["token"]).key_version == 2
    assert client.open(USER, row["token"], b"address") == b"home"
    play.block()
    assert play.keystore().key_versions[0].state is State.DISABLED
    assert eventually(lambda: is_unavailable(client, token))
    with pytest.raises(KeyUnavailableError):
        client.verify(USER, DATA, stored, 1)
    assert client.open(USER, row["token"], b"address") == b"home"


def is_unavailable(client: Client, token: str) -> bool:
    """Whether a token of version 1 is answered as one that can't be had any more."""
    try:
        client.open(USER, token, b"address")
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
