"""Changing the keystore from a command: applied or only tried, and told in words.

What a command says that it did is read off the keystore before and after, so a dry run and the real
one can't tell different stories.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from caas_cli.exit_codes import UsageError
from caas_cli.home import Home
from caas_cli.keystore_difference import differences
from caas_cli.output import say, say_json
from worker.keystore import file
from worker.keystore.document import Keystore

Rule = Callable[[Keystore], Keystore]


@dataclass(frozen=True, slots=True)
class Change:
    """A keystore before and after a rule was applied to it; with a dry run nothing was written."""

    before: Keystore = field(repr=False)
    after: Keystore = field(repr=False)
    is_dry_run: bool

    def words(self) -> list[str]:
        """What is different, a line each."""
        return differences(self.before, self.after)


def apply(
    home: Home, rule: Rule, *, dry_run: bool, identities: file.Identities | None = None
) -> Change:
    """Apply a rule to the home's keystore.

    Args:
        identities: what opens it; None takes the home's.

    Raises:
        KeystoreError: the keystore can't be read or written, or the rule refuses.
    """
    opening = file.load_identities(home.identity) if identities is None else identities
    seen: list[Keystore] = []

    def change(keystore: Keystore) -> Keystore:
        seen.append(keystore)
        return rule(keystore)

    write = file.preview if dry_run else file.update
    after = write(home.keystore, opening, change)
    return Change(seen[-1], after, dry_run)


def show(change: Change, *, as_json: bool, **more: Any) -> None:
    """Print what changed, or would change.

    Args:
        more: further fields of the JSON form.
    """
    say_changes(change.words(), as_json=as_json, is_dry_run=change.is_dry_run, more=more)


def say_changes(
    words: list[str], *, as_json: bool, is_dry_run: bool, more: Mapping[str, Any]
) -> None:
    """Print changes that are in words already."""
    if as_json:
        say_json({"dry_run": is_dry_run, "changes": words, **more})
        return
    for line in words or ["nothing to change"]:
        say(line)
    if is_dry_run:
        say("(dry run: nothing was written)")


def confirm(name: str, given: str | None, consequence: str) -> None:
    """Have the name of what is to be given up typed, at a prompt or as an option.

    Raises:
        UsageError: another name, or none where there is no terminal to ask at.
    """
    typed = given
    if typed is None and sys.stdin.isatty():
        import typer

        typed = str(typer.prompt(f"{consequence}\nType {name} to go on", err=True))
    if typed is None:
        raise UsageError(f"--confirm {name} is needed where there is no prompt")
    if typed.strip() != name:
        raise UsageError(f"the name does not match {name}; nothing was changed")
