"""`caas apikey`: made once, listed without the secret, revoked for good."""

from __future__ import annotations

import json
from typing import Any

import pytest

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


def test_revoking_an_unknown_key_is_refused(made: Home, run: Any) -> None:
    """An id that no key has changes nothing."""
    before = made.keystore.read_bytes()
    done = run("apikey", "revoke", "nosuchkey")
    assert (done.exit_code, made.keystore.read_bytes()) == (ExitCode.CONFIGURATION, before)


def test_missing_keystore_is_told_in_one_line(run: Any) -> None:
    """Without an installation there is one line, no traceback."""
    done = run("apikey", "list")
    assert (done.exit_code, done.stderr.count("\n")) == (ExitCode.CONFIGURATION, 1)
