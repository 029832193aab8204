"""`caas key export`, `import` and `reencrypt-keystore`: keys in age files (docs/keys.md)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

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


def reencrypt(
    home: Home, recipients: Sequence[str], *, new_identity: bool, dry_run: bool
) -> Change:
    """Encrypt the keystore to other recipients; this installation's identity is always among them.

    A new identity first stands beside the old one in its file, then the keystore is written, then
    the old one goes: a crash or a worker that starts in between finds files that fit.

    Args:
        recipients: who may open it beside this installation; none leaves them as they are.

    Raises:
        UsageError: neither recipients nor a new identity, or a malformed recipient.
        KeystoreError: a file can't be read or written.
    """
    if not recipients and not new_identity:
        raise UsageError("--recipient or --new-identity is needed")
    _check(recipients, "--recipient")
    if dry_run:
        return _reencrypt(home, recipients, new_identity=new_identity, dry_run=True)
    # Two at once could each leave the identity file without what the other has encrypted to.
    with file.locked(home.identity, "identity file"):
        return _reencrypt(home, recipients, new_identity=new_identity, dry_run=False)


def _reencrypt(
    home: Home, recipients: Sequence[str], *, new_identity: bool, dry_run: bool
) -> Change:
    old = file.load_identities(home.identity)
    own = [pyrage.x25519.Identity.generate()] if new_identity else old
    ours = [str(identity.to_public()) for identity in old]

    def rule(keystore: Keystore) -> Keystore:
        others = recipients or [text for text in keystore.recipients if text not in ours]
        wanted = dict.fromkeys([str(own[0].to_public()), *others])
        return keystore.changed(recipients=tuple(wanted))

    if dry_run or not new_identity:
        return keystore_change.apply(home, rule, dry_run=dry_run)
    _write_identities(home.identity, [*own, *old])
    change = keystore_change.apply(home, rule, dry_run=False)
    _write_identities(home.identity, own)
    return change


def _check(recipients: Sequence[str], option: str) -> None:
    if not all(file.is_recipient(text) for text in recipients):
        raise UsageError(f"{option}: not an age X25519 recipient (age1…)")


def _write_identities(path: Path, identities: file.Identities) -> None:
    lines = [f"# written: {timestamp(int(time.time()))}"]
    for identity in identities:
        lines += [f"# public key: {identity.to_public()}", str(identity)]
    problem = ""
    try:
        file.write_private(path, ("\n".join(lines) + "\n").encode())
    except OSError as error:
        problem = f"identity file {path}: cannot be written: {error.strerror}"
    if problem:
        raise ConfigurationError(problem)
