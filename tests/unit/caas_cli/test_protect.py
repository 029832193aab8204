"""`caas hash-password`, `seal` and their like: what goes in, what comes out, and the exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from caas_cli import requests
from caas_cli.exit_codes import ExitCode
from caas_tasks.limits import MAX_ITEM_BYTES
from producer_client.testing import InMemoryService

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> InMemoryService:
    """What the commands call."""
    made = InMemoryService()
    monkeypatch.setattr(requests, "client", lambda _home: made.client())
    return made


def ask(run: Any, command: str, *options: str, given: bytes = b"") -> Any:
    return run(command, "--user-uuid", USER, *options, input=given)


def test_password_from_standard_input(run: Any) -> None:
    """A hash verifies the password that it was made from, without its line end."""
    stored = ask(run, "hash-password", given=b"password\n").stdout.strip()
    right = ask(run, "verify-password", "--hash", stored, given=b"password")
    assert (right.exit_code, right.stdout) == (ExitCode.OK, "valid\n")
    wrong = ask(run, "verify-password", "--hash", stored, given=b"a guess")
    assert (wrong.exit_code, wrong.stdout) == (ExitCode.NEGATIVE, "not valid\n")


def test_password_without_a_hash(run: Any) -> None:
    """An absent user's password is wrong."""
    done = ask(run, "verify-password", "--json", given=b"password")
    assert done.exit_code == ExitCode.NEGATIVE
    assert json.loads(done.stdout) == {"valid": False, "needs_update": False, "hash": None}


def test_new_hash_is_shown(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to store in the old hash's place is part of the answer."""
    from producer_client import Client, PasswordVerification

    answer = PasswordVerification(valid=True, needs_update=True, new_hash="$new")
    monkeypatch.setattr(Client, "verify_password", lambda *_args: answer)
    done = ask(run, "verify-password", "--hash", "$old", given=b"password")
    assert done.stdout == "valid\nstore in its place: $new\n"


@pytest.mark.parametrize("plaintext", [b"", b"line\n", bytes(range(256))])
def test_bytes_come_back_as_they_were(run: Any, plaintext: bytes) -> None:
    """Sealing takes all of standard input, and opening gives it back."""
    token = ask(run, "seal", "--context", "address", given=plaintext).stdout.strip()
    opened = ask(run, "open", "--context", "address", "--token", token)
    assert (opened.exit_code, opened.stdout_bytes) == (ExitCode.OK, plaintext)


def test_another_context_is_refused(run: Any) -> None:
    """A token of another column ends with one line and nothing on standard output."""
    token = ask(run, "seal", "--context", "address", given=b"secret").stdout.strip()
    done = ask(run, "open", "--token", token)
    assert (done.stdout_bytes, done.stderr.count("\n")) == (b"", 1)
    assert done.exit_code != ExitCode.OK
    assert "secret" not in done.stderr


def test_too_much_to_seal(run: Any) -> None:
    """More than an item may hold is refused before anyone is asked."""
    done = ask(run, "seal", given=b"x" * (MAX_ITEM_BYTES + 1))
    assert done.exit_code == ExitCode.USAGE


def test_rewrap(run: Any) -> None:
    """A token of the newest version stays as it is."""
    token = json.loads(ask(run, "seal", "--json", given=b"a").stdout)["token"]
    done = ask(run, "rewrap", "--json", "--token", token)
    assert json.loads(done.stdout) == {"token": token, "changed": False}
    assert ask(run, "rewrap", "--token", token).stdout.strip() == token


def test_inspect(run: Any) -> None:
    """A stored value is told without asking anyone."""
    token = ask(run, "seal", given=b"a").stdout.strip()
    fields = json.loads(run("inspect", "--json", token).stdout)
    assert fields == {
        "kind": "token",
        "key_version": 1,
        "profile": "caas1",
        "algorithm": "AES-256-GCM",
    }
    assert "caas1" in run("inspect", token).stdout


def test_inspect_of_anything_else(run: Any) -> None:
    """Another value is refused and not repeated."""
    done = run("inspect", "canary")
    assert done.exit_code != ExitCode.OK
    assert "canary" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["hash-password", "verify-password", "seal"])
def test_secrets_are_no_arguments(run: Any, command: str) -> None:
    """No option takes them: they would stand in the process list."""
    shown = run(command, "--help").stdout
    assert "--password" not in shown
    assert "--plaintext" not in shown
