"""`caas key export`, `import` and `reencrypt-keystore`: keys in age files (docs/keys.md)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pyrage

from caas_cli import keystore_change
from caas_cli.exit_codes import UsageError
from caas_cli.home import Home
from caas_cli.keystore_change import Change
from caas_cli.output import timestamp
from caas_tasks.errors import ConfigurationError
from worker.keystore import file, transfer
from worker.keystore.document import Keystore


def export(
    home: Home, out: Path, recipients: Sequence[str], versions: Sequence[int], *, dry_run: bool
) -> list[str]:
    """Write key versions to a new age file; what was written, in words.

    Args:
        versions: their numbers; none means all that still have their secret.

    Raises:
        UsageError: a malformed recipient, or a file that is there already.
        KeystoreError: the keystore can't be read, a version can't be exported, or the file can't be
            written.
    """
    _check(recipients, "--to")
    if out.exists():
        raise UsageError("--out: there is a file of this name already")
    keystore = file.load(home.keystore, file.load_identities(home.identity))
    content = transfer.export(keystore, versions)
    if not dry_run:
        file.write_age(out, content, recipients, "export")
    return [
        f"key version {record.version}: exported, {record.profile.value}"
        for record in transfer.read(content)
    ]


def import_file(home: Home, path: Path, identity: Path | None, *, dry_run: bool) -> Change:
    """Take in the key versions of an exported file.

    Raises:
        KeystoreError: a file can't be read, or a version can't be taken in.
    """
    identities = file.load_identities(identity or home.identity)
    records = transfer.read(file.open_age(path, identities, "export"))
    return keystore_change.apply(
        home, lambda keystore: transfer.import_versions(keystore, records), dry_run=dry_run
    )


@dataclass(frozen=True, slots=True)
class Reencryption:
    """Who may open the keystore from now on.

    Attributes:
        recipients: who may open it beside this installation; none leaves them as they are.
        new_identity: make a new identity for the workers, in place of theirs.
        with_identity: another file, such as the recovery identity, that opens the keystore when
            the workers' identity is lost. It is only read.
    """

    recipients: Sequence[str] = ()
    new_identity: bool = False
    with_identity: Path | None = None


def reencrypt(home: Home, request: Reencryption, *, dry_run: bool) -> Change:
    """Encrypt the keystore to other recipients; this installation's identity is always among them.

    A new identity first stands beside the old one in its file, then the keystore is written, then
    the old one goes: a crash or a worker that starts in between finds files that fit.

    Raises:
        UsageError: options that don't go together, a malformed recipient, or an identity that
            would be overwritten and is not the workers'.
        KeystoreError: a file can't be read or written.
    """
    if not request.recipients and not request.new_identity:
        raise UsageError("--recipient or --new-identity is needed")
    if request.with_identity is not None and not request.new_identity:
        raise UsageError("--with-identity goes with --new-identity")
    _check(request.recipients, "--recipient")
    if dry_run:
        return _reencrypt(home, request, dry_run=True)
    # Two at once could each leave the identity file without what the other has encrypted to.
    with file.locked(home.identity, "identity file"):
        return _reencrypt(home, request, dry_run=False)


def _reencrypt(home: Home, request: Reencryption, *, dry_run: bool) -> Change:
    identities = _Identities.of(home, request)
    new = pyrage.x25519.Identity.generate() if request.new_identity else identities.ours[0]

    def rule(keystore: Keystore) -> Keystore:
        gone = identities.replaced(keystore, request)
        others = request.recipients or [text for text in keystore.recipients if text not in gone]
        return keystore.changed(recipients=tuple(dict.fromkeys([str(new.to_public()), *others])))

    def apply(*, dry_run: bool) -> Change:
        return keystore_change.apply(home, rule, dry_run=dry_run, identities=identities.opening)

    if dry_run or not request.new_identity:
        return apply(dry_run=dry_run)
    apply(dry_run=True)  # What a rule refuses leaves the identity file as it is.
    _write_identities(home, [new, *identities.ours])
    change = apply(dry_run=False)
    _write_identities(home, [new])
    return change


@dataclass(frozen=True, slots=True)
class _Identities:
    """What the workers' file holds, and what opens the keystore: the same unless that is lost."""

    ours: file.Identities = field(repr=False)
    opening: file.Identities = field(repr=False)

    @classmethod
    def of(cls, home: Home, request: Reencryption) -> Self:
        if request.with_identity is None:
            ours = file.load_identities(home.identity)
            return cls(ours, ours)
        opening = file.load_identities(request.with_identity)
        # A file that is there and can't be read is not overwritten either.
        ours = file.load_identities(home.identity) if home.identity.exists() else []
        if set(_recipients(ours)) & set(_recipients(opening)):
            raise UsageError(
                f"--with-identity is what {home.identity} holds, which a new identity would replace"
            )
        return cls(ours, opening)

    def replaced(self, keystore: Keystore, request: Reencryption) -> set[str]:
        """The recipients that a re-encryption without others named takes out: the workers'.

        The workers' recipient is the first: so they were written from the beginning.
        """
        workers, ours = keystore.recipients[0], _recipients(self.ours)
        if request.with_identity is None:
            if request.new_identity and workers not in ours:
                raise UsageError(
                    "the identity here is not the workers' own, and would be overwritten; when "
                    "theirs is lost, name this one with --with-identity instead of CAAS_IDENTITY"
                )
            return {*ours}
        if workers in _recipients(self.opening) and not request.recipients:
            raise UsageError(
                "--with-identity is the workers' own, so which recipient is lost can't be told; "
                "name the others with --recipient"
            )
        return {workers, *ours}


def _recipients(identities: file.Identities) -> list[str]:
    return [str(identity.to_public()) for identity in identities]


def _check(recipients: Sequence[str], option: str) -> None:
    if not all(file.is_recipient(text) for text in recipients):
        raise UsageError(f"{option}: not an age X25519 recipient (age1…)")


def _write_identities(home: Home, identities: file.Identities) -> None:
    lines = [f"# written: {timestamp(int(time.time()))}"]
    for identity in identities:
        lines += [f"# public key: {identity.to_public()}", str(identity)]
    problem = ""
    try:
        content = ("\n".join(lines) + "\n").encode()
        file.write_private(home.identity, content, like=home.keystore)
    except OSError as error:
        problem = f"identity file {home.identity}: cannot be written: {error.strerror}"
    if problem:
        raise ConfigurationError(problem)
