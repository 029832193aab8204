"""`caas service-key`: added, handed out, removed; `client.env` follows."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from caas_cli import client_env
from caas_cli.doctor import keys as doctor
from caas_cli.exit_codes import ExitCode
from caas_cli.home import Home
from worker.keystore import change, file
from worker.keystore.document import Keystore


def load(home: Home) -> Keystore:
    return file.load(home.keystore, file.load_identities(home.identity))


def ids(home: Home) -> list[str]:
    return [key.key_id for key in load(home).service_keys]


def client_key(home: Home) -> str:
    return client_env.read(home.client_env)[client_env.SERVER_KEY]


def test_rotated_pair_waits_for_the_workers(made: Home, run: Any) -> None:
    """The new pair is in the keystore, and main servers go on with the old one."""
    before = client_key(made)
    done = run("service-key", "rotate")
    assert (done.exit_code, len(ids(made)), client_key(made)) == (0, 2, before)
    assert "caas service-key retire" in done.stderr


def test_retiring_gives_main_servers_the_next(made: Home, run: Any) -> None:
    """`client.env` has the new key, and nothing else of it changes."""
    before = client_env.read(made.client_env)
    run("service-key", "rotate")
    run("service-key", "retire", ids(made)[0])
    new = change.public_half(load(made).service_keys[1]).to_text()
    assert client_env.read(made.client_env) == {**before, client_env.SERVER_KEY: new}


def test_rotation_in_one_step(made: Home, run: Any) -> None:
    """Where all workers read this file the old pair is retired at once."""
    run("service-key", "rotate", "--retire-old")
    (old, new) = load(made).service_keys
    assert (old.retired_at is None, new.retired_at) == (False, None)
    assert client_key(made) == change.public_half(new).to_text()


def test_no_client_env_is_made(made: Home, run: Any) -> None:
    """A host that has only the keystore is not given a main server's settings."""
    made.client_env.unlink()
    assert run("service-key", "rotate", "--retire-old").exit_code == 0
    assert not made.client_env.exists()


def test_remove_needs_the_id_and_time(made: Home, run: Any) -> None:
    """A pair that has just been retired is only removed by force, and its id has to be typed."""
    run("service-key", "rotate", "--retire-old")
    old, new = ids(made)
    assert run("service-key", "remove", old, "--confirm", old).exit_code == ExitCode.CONFIGURATION
    assert run("service-key", "remove", old, "--force").exit_code == ExitCode.USAGE
    assert run("service-key", "remove", old, "--force", "--confirm", new).exit_code == 2
    assert ids(made) == [old, new]
    assert run("service-key", "remove", old, "--force", "--confirm", old).exit_code == 0
    assert ids(made) == [new]


def test_removed_after_its_time(made: Home, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """25 hours after its retirement no force is needed."""
    run("service-key", "rotate", "--retire-old")
    old, new = ids(made)
    later_s = time.time() + 25 * 3_600 + 1
    monkeypatch.setattr(time, "time", lambda: later_s)
    assert run("service-key", "remove", old, "--confirm", old).exit_code == 0
    assert ids(made) == [new]


def test_list_names_states_and_public_halves_alone(made: Home, run: Any) -> None:
    """The listing holds what main servers may know, and no private half."""
    run("service-key", "rotate")
    run("service-key", "rotate")
    run("service-key", "retire", ids(made)[0])
    listed = json.loads(run("service-key", "list", "--json").stdout)
    assert [key["state"] for key in listed] == ["retired", "in use", "added"]
    assert listed[1]["server_key"] == client_key(made)
    fields = {"id", "state", "created_at", "retired_at", "server_key"}
    assert all(key.keys() == fields for key in listed)
    assert len(run("service-key", "list").stdout.strip().splitlines()) == 5


def test_doctor_finds_a_retired_key(made: Home, run: Any) -> None:
    """A main server that still has the retired key is told before it is removed."""
    before = client_key(made)
    run("service-key", "rotate", "--retire-old")
    client_env.write_changed(made.client_env, {client_env.SERVER_KEY: before})
    findings = {found.name: found.is_ok for found in doctor.keystore(made)}
    assert findings == {"keystore": True, "server key": False}


def test_doctor_takes_an_added_key(made: Home, run: Any) -> None:
    """A main server that has the next key already is as well off as one with the present key."""
    run("service-key", "rotate")
    added = change.public_half(load(made).service_keys[1]).to_text()
    client_env.write_changed(made.client_env, {client_env.SERVER_KEY: added})
    assert [found.is_ok for found in doctor.keystore(made)] == [True]
