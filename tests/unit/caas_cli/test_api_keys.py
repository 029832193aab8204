"""`caas apikey`: made once, listed without the secret, revoked for good."""

from __future__ import annotations

import json
from typing import Any

import pytest

from caas_cli import client_env
from caas_cli.exit_codes import ExitCode
from caas_cli.home import Home
from caas_tasks import api_key
from worker.keystore import file


def created(run: Any, *options: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(run("apikey", "create", "--json", *options).stdout)
    return made


def test_created_key_is_in_the_keystore(made: Home, run: Any) -> None:
    """The keystore knows the key that was shown, by its hash."""
    text = created(run)["api_key"]
    keystore = file.load(made.keystore, file.load_identities(made.identity))
    assert keystore.api_keys[-1].digest == api_key.digest(text)


def test_create_prints_only_the_key_on_standard_output(made: Home, run: Any) -> None:
    """The key's text alone stands on standard output, to be piped into a secret store."""
    printed = run("apikey", "create").stdout
    assert api_key.parse_id(printed.removesuffix("\n")) in run("apikey", "list", "--json").stdout


def test_scopes_and_expiry_are_kept(made: Home, run: Any) -> None:
    """The key may do what was asked for, for as long."""
    key = created(run, "--scope", "encrypt", "--scope", "verify", "--expires-in", "30")
    assert (key["scopes"], key["expires_at"] is None) == (["encrypt", "verify"], False)


def test_new_tenant_is_made_with_its_first_key(made: Home, run: Any) -> None:
    """A key for a tenant that isn't there yet makes the tenant."""
    assert created(run, "--tenant", "billing")["tenant"] == "billing"


def test_tenant_must_be_named_when_there_are_several(made: Home, run: Any) -> None:
    """Which tenant gets a key is never guessed."""
    created(run, "--tenant", "billing")
    done = run("apikey", "create")
    assert (done.exit_code, "billing" in done.stderr) == (ExitCode.USAGE, True)


def test_unknown_scope_is_refused(made: Home, run: Any) -> None:
    """A scope is one of the operations."""
    assert run("apikey", "create", "--scope", "everything").exit_code == ExitCode.CONFIGURATION


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_list_shows_no_secret(made: Home, run: Any, options: tuple[str, ...]) -> None:
    """A listing holds neither a key's text nor its hash."""
    secret = created(run)["api_key"].split("_")[2]
    assert secret not in run("apikey", "list", *options).stdout


def test_list_is_one_line_a_key_in_a_pipe(made: Home, run: Any) -> None:
    """Lines are not folded where there is no window."""
    key = created(run)
    lines = [line for line in run("apikey", "list").stdout.splitlines() if key["id"] in line]
    assert (len(lines), "blind_index candidates encrypt" in lines[0]) == (1, True)


def test_revoked_key_is_listed_as_revoked(made: Home, run: Any) -> None:
    """Revoking shows in the list."""
    key_id = created(run)["id"]
    run("apikey", "revoke", key_id)
    states = {key["id"]: key["state"] for key in json.loads(run("apikey", "list", "--json").stdout)}
    assert states[key_id] == "revoked"


def listed(run: Any) -> dict[str, dict[str, Any]]:
    return {key["id"]: key for key in json.loads(run("apikey", "list", "--json").stdout)}


def test_limit_of_requests_is_kept(made: Home, run: Any) -> None:
    """A key can have a limit of its own, which the listing shows."""
    key = created(run, "--requests-per-s", "7")
    assert listed(run)[key["id"]]["requests_per_s"] == 7


def test_last_use_is_unknown_without_a_broker(made: Home, run: Any) -> None:
    """A listing works while the broker is away, and doesn't call a key unused."""
    assert [key["last_used"] for key in listed(run).values()] == ["unknown"]


def test_rotated_key_has_a_successor(made: Home, run: Any) -> None:
    """The new key is shown; the old one says which it is, and until when it is valid."""
    old = created(run, "--scope", "verify")
    new = json.loads(run("apikey", "rotate", old["id"], "--overlap", "1", "--json").stdout)
    found = listed(run)[old["id"]]
    assert (found["state"], found["rotated_to"]) == ("rotated", new["id"])
    assert found["expires_at"] is not None
    assert api_key.parse_id(new["api_key"]) == new["id"]
    assert new["scopes"] == ["verify"]


def test_rotated_key_of_this_home_is_in_client_env(made: Home, run: Any) -> None:
    """When the key is the one that `client.env` holds, that file has the new one."""
    (old_id,) = listed(run)
    done = run("apikey", "rotate", old_id)
    assert client_env.read(made.client_env)[client_env.API_KEY] == done.stdout.strip()
    assert "client.env" in done.stderr


def test_rotating_another_key_leaves_client_env(made: Home, run: Any) -> None:
    """A key that `client.env` doesn't hold is none of its business."""
    before = made.client_env.read_bytes()
    done = run("apikey", "rotate", created(run)["id"])
    assert (done.exit_code, made.client_env.read_bytes()) == (0, before)


def test_rotating_without_a_good_client_env(made: Home, run: Any) -> None:
    """A `client.env` that holds no API key is left alone."""
    (old_id,) = listed(run)
    made.client_env.write_text("CAAS_API_KEY=canary\n")
    done = run("apikey", "rotate", old_id)
    assert (done.exit_code, made.client_env.read_text()) == (0, "CAAS_API_KEY=canary\n")


def test_rotating_twice_is_refused(made: Home, run: Any) -> None:
    """A key that has a successor gets no second one."""
    (old_id,) = listed(run)
    run("apikey", "rotate", old_id)
    before = made.keystore.read_bytes()
    done = run("apikey", "rotate", old_id)
    assert (done.exit_code, made.keystore.read_bytes()) == (ExitCode.CONFIGURATION, before)


def test_revoking_an_unknown_key_is_refused(made: Home, run: Any) -> None:
    """An id that no key has changes nothing."""
    before = made.keystore.read_bytes()
    done = run("apikey", "revoke", "nosuchkey")
    assert (done.exit_code, made.keystore.read_bytes()) == (ExitCode.CONFIGURATION, before)


def test_missing_keystore_is_told_in_one_line(run: Any) -> None:
    """Without an installation there is one line, no traceback."""
    done = run("apikey", "list")
    assert (done.exit_code, done.stderr.count("\n")) == (ExitCode.CONFIGURATION, 1)
