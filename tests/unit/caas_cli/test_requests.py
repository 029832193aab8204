"""`caas encrypt` and `caas verify`: where the data comes from, and what becomes of the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from caas_cli.exit_codes import ExitCode, exit_code_of
from caas_cli.home import Home
from caas_tasks.errors import ERRORS_BY_CODE, ServiceError
from caas_tasks.limits import MAX_ITEM_BYTES
from producer_client import Encrypted, Verification

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
VERIFY = ("verify", "--user-uuid", USER, "--encrypted-data", "ab" * 48)


@pytest.fixture
def asked(made: Home, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The data of the calls that were made; each is answered."""
    data: list[str] = []

    def encrypt(_client: object, _uuid: str, value: str) -> Encrypted:
        data.append(value)
        return Encrypted("ab" * 48, 1)

    monkeypatch.setattr("producer_client.Client.encrypt", encrypt)
    return data


@pytest.mark.parametrize(
    ("given", "data"),
    [
        (b"data", "data"),
        (b"data\n", "data"),
        (b"data\r\n", "data"),
        (b"data\n\n", "data\n"),
        (b"a\nb", "a\nb"),
        (b"", ""),
        ("é\n".encode(), "é"),
        (b"x" * MAX_ITEM_BYTES + b"\r\n", "x" * MAX_ITEM_BYTES),
    ],
    ids=["bare", "newline", "crlf", "two", "inside", "empty", "unicode", "largest"],
)
def test_one_line_end_is_taken_off(run: Any, asked: list[str], given: bytes, data: str) -> None:
    """All of standard input is data but one line end at its end."""
    run("encrypt", "--user-uuid", USER, input=given)
    assert asked == [data]


@pytest.mark.parametrize("given", [b"x" * (MAX_ITEM_BYTES + 1), b"\xff"], ids=["large", "binary"])
def test_data_that_can_not_be_sent_is_refused(run: Any, asked: list[str], given: bytes) -> None:
    """Too much data, or data that is no text, ends with 2 and asks nobody."""
    done = run("encrypt", "--user-uuid", USER, input=given)
    assert (done.exit_code, done.stderr.count("\n"), asked) == (ExitCode.USAGE, 1, [])


def test_answer_is_shown_as_fields(run: Any, asked: list[str]) -> None:
    """A person reads value and version, one a line."""
    printed = run("encrypt", "--user-uuid", USER, input="data").stdout
    assert printed == f"encrypted_data  {'ab' * 48}\nkey_version     1\n"


@pytest.mark.parametrize(
    ("answer", "text", "code"),
    [
        (Verification(True, False), "valid\n", ExitCode.OK),
        (Verification(True, True), "valid, needs update\n", ExitCode.OK),
        (Verification(False, False), "not valid\n", ExitCode.NEGATIVE),
    ],
)
def test_verification_is_told_by_text_and_exit_code(
    made: Home,
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
    answer: Verification,
    text: str,
    code: ExitCode,
) -> None:
    """Yes and no each have their words and their exit code."""
    monkeypatch.setattr("producer_client.Client.verify", lambda *_args: answer)
    done = run(*VERIFY, input="data")
    assert (done.stdout, done.exit_code) == (text, code)


def test_verification_as_json(made: Home, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--json` has both fields of the answer."""
    monkeypatch.setattr("producer_client.Client.verify", lambda *_args: Verification(True, True))
    printed = json.loads(run(*VERIFY, "--json", input="data").stdout)
    assert printed == {"valid": True, "needs_update": True}


@pytest.mark.parametrize("error", [error() for error in ERRORS_BY_CODE.values()], ids=repr)
def test_failed_call_is_one_line_and_its_exit_code(
    made: Home, run: Any, monkeypatch: pytest.MonkeyPatch, error: ServiceError
) -> None:
    """Every typed error ends in its own line and code."""

    def fail(*_args: object) -> None:
        raise error

    monkeypatch.setattr("producer_client.Client.encrypt", fail)
    done = run("encrypt", "--user-uuid", USER, input="data")
    assert (done.stderr, done.exit_code) == (f"caas: {error.message}\n", exit_code_of(error))
