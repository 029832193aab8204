"""A change of the keystore in words, and the name that has to be typed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import typer

from caas_cli import keystore_change
from caas_cli.exit_codes import UsageError
from caas_cli.keystore_change import Change
from worker.keystore.document import Keystore


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Makes standard input a terminal at which some text is typed; what was asked."""

    def type_in(text: str) -> list[str]:
        asked: list[str] = []

        def prompt(question: str, **_options: object) -> str:
            asked.append(question)
            return text

        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr(typer, "prompt", prompt)
        return asked

    return type_in


def test_name_is_asked_for_with_the_consequence(terminal: Callable[[str], list[str]]) -> None:
    """At a terminal what will happen is said, and typing the name lets it."""
    asked = terminal(" key-1 ")
    keystore_change.confirm("key-1", None, "All is lost.")
    assert asked == ["All is lost.\nType key-1 to go on"]


def test_other_name_is_refused_and_not_repeated(terminal: Callable[[str], list[str]]) -> None:
    """A wrong name stops everything."""
    terminal("canary")
    with pytest.raises(UsageError) as caught:
        keystore_change.confirm("key-1", None, "All is lost.")
    assert str(caught.value) == "the name does not match key-1; nothing was changed"


def test_name_as_an_option_asks_nothing(terminal: Callable[[str], list[str]]) -> None:
    """A script gives the name as an option."""
    asked = terminal("canary")
    keystore_change.confirm("key-1", "key-1", "All is lost.")
    assert asked == []


def test_change_shows_no_secret(keystore: Keystore) -> None:
    """A change can be logged."""
    assert repr(Change(keystore, keystore, is_dry_run=True)) == "Change(is_dry_run=True)"
