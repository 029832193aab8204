"""`caas key …`: key versions from their making to their end (docs/keys.md)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caas_cli.home import Home
from caas_cli.options import Confirm, DryRun, Json, ProfileName, SaltPool
from caas_cli.output import say_fields, say_json, say_table, warn

if TYPE_CHECKING:
    from caas_cli.keystore_change import Change, Rule

app = typer.Typer(
    help="Key versions: add, promote, disable, destroy, move, re-encrypt.", no_args_is_help=True
)


Version = Annotated[int, typer.Argument(min=1, metavar="N", help="As `caas key list` shows it.")]


@app.command("list", epilog="Example: caas key list --json")
def list_command(as_json: Json = False) -> None:
    """List key versions and the minimum versions, without any secret."""
    from caas_cli import keys

    found = keys.list_all(Home.from_env())
    if as_json:
        say_json(found)
        return
    rows = [
        [
            str(key["version"]),
            "primary" if key["primary"] else key["state"],
            "yes" if key["checked"] else "no",
            key["profile"],
            key["created_at"],
            key["destroy_at"] or "",
        ]
        for key in found["key_versions"]
    ]
    say_table(("version", "state", "checked", "profile", "created", "erased from"), rows)
    names = {
        "minimum_making": "minimum version for making",
        "minimum_checking": "minimum version for checking",
    }
    say_fields({text: found[name] for name, text in names.items()})


@app.command("rotate", epilog="Example: caas key rotate, then spread the file, then promote")
def rotate_command(
    profile: Annotated[
        ProfileName, typer.Option(help="How `encrypt` computes under it; classic is weak.")
    ] = ProfileName.HARDENED,
    salt_pool: SaltPool = None,
    cipher: Annotated[
        list[str] | None,
        typer.Option(help="An algorithm of its cipher pool; repeat; the default pool if none."),
    ] = None,
    allow_weak: Annotated[
        bool, typer.Option("--allow-weak", help="Let --cipher name md5, sha1 or ripemd160.")
    ] = False,
    promote_after: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=86_400,
            metavar="SECONDS",
            help="Wait, then promote it: for workers that all read this very file.",
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Add a key version. It makes no values until `caas key promote`."""
    from caas_cli import keys
    from worker.keystore.document import Profile

    rotation = keys.Rotation(
        Profile(profile.value), salt_pool, tuple(cipher or ()), allow_weak, promote_after
    )
    change = keys.rotate(Home.from_env(), rotation, dry_run=dry_run)
    version = keys.newest(change.after)
    _show(change, as_json=as_json, version=version)
    if not dry_run and promote_after is None:
        warn(f"Bring the file to every worker, then: caas key promote {version}")


@app.command("promote", epilog="Example: caas key promote 2")
def promote_command(version: Version, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Let a key version make the new values. Every worker must have it by now."""
    from caas_cli import keys

    _show(keys.promote(Home.from_env(), version, dry_run=dry_run), as_json=as_json)


@app.command("disable", epilog="Example: caas key disable 1")
def disable_command(version: Version, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Answer a key version's values with `key_unavailable`, until it is enabled again."""
    from worker.keystore import lifecycle

    _apply(lambda keystore: lifecycle.disable(keystore, version), dry_run, as_json)


@app.command("enable", epilog="Example: caas key enable 1")
def enable_command(version: Version, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Use a disabled key version again, also one that waits to be destroyed."""
    from worker.keystore import lifecycle

    now_s = time.time()
    _apply(lambda keystore: lifecycle.enable(keystore, version, now_s), dry_run, as_json)


@app.command("destroy", epilog="Example: caas key destroy 1 --confirm key-1")
def destroy_command(
    version: Annotated[
        int | None,
        typer.Argument(min=1, metavar="[N]", help="As `caas key list` shows it."),
    ] = None,
    grace_days: Annotated[
        int, typer.Option(min=0, max=3_650, help="Days in which it can be undone.")
    ] = 7,
    confirm: Confirm = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="Erase now what is past its grace period.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Disable a key version now and erase its secret after a grace period.

    Until then `caas key enable N` or `caas key undo-destroy N` keeps it. The secret goes with the
    first change of the keystore after that, whatever it is for, or with --finish.
    """
    from caas_cli import keys
    from caas_cli.exit_codes import UsageError

    if finish == (version is not None):
        raise UsageError("either the number of a key version or --finish")
    if version is None:
        _apply(lambda keystore: keystore, dry_run, as_json)
        return
    change = keys.destroy(Home.from_env(), version, grace_days, confirm, dry_run=dry_run)
    _show(change, as_json=as_json)


@app.command("undo-destroy", epilog="Example: caas key undo-destroy 1")
def undo_destroy_command(version: Version, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Keep a key version that waits to be destroyed; it stays disabled."""
    from worker.keystore import lifecycle

    now_s = time.time()
    _apply(lambda keystore: lifecycle.undo_destruction(keystore, version, now_s), dry_run, as_json)


@app.command("minimum", epilog="Example: caas key minimum --checking 2")
def minimum_command(
    making: Annotated[
        int | None, typer.Option(min=1, help="The lowest version that may be the primary.")
    ] = None,
    checking: Annotated[
        int | None, typer.Option(min=1, help="The lowest version whose values are checked.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Set the minimum versions for making values and for checking them."""
    from caas_cli.exit_codes import UsageError
    from worker.keystore import lifecycle

    if making is None and checking is None:
        raise UsageError("--making or --checking is needed")
    _apply(
        lambda keystore: lifecycle.set_minimums(keystore, making=making, checking=checking),
        dry_run,
        as_json,
    )


@app.command("export", epilog="Example: caas key export --version 2 --to age1… --out keys.age")
def export_command(
    out: Annotated[Path, typer.Option(help="The age file to make; none is overwritten.")],
    to: Annotated[list[str], typer.Option(help="age1… that may open it; repeat.")],
    version: Annotated[
        list[int] | None, typer.Option(min=1, help="A key version; repeat; all if none.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Write key versions to an age file for other recipients."""
    from caas_cli import key_files

    words = key_files.export(Home.from_env(), out, to, version or (), dry_run=dry_run)
    _say(words, as_json=as_json, dry_run=dry_run)


@app.command("import", epilog="Example: caas key import keys.age --identity their-identity.txt")
def import_command(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="What `caas key export` made.")],
    identity: Annotated[
        Path | None, typer.Option(help="The age identity that opens it; this home's if none.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take in the key versions of an exported file; the primary stays what it is."""
    from caas_cli import key_files

    change = key_files.import_file(Home.from_env(), path, identity, dry_run=dry_run)
    _show(change, as_json=as_json)


@app.command("reencrypt-keystore", epilog="Example: caas key reencrypt-keystore --new-identity")
def reencrypt_command(
    recipient: Annotated[
        list[str] | None,
        typer.Option(
            help="age1… that may open it beside this installation; repeat; as now if none."
        ),
    ] = None,
    new_identity: Annotated[
        bool, typer.Option("--new-identity", help="Make a new identity for the workers.")
    ] = False,
    with_identity: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the workers' identity is lost: another one, the recovery one say, that "
            "opens the keystore. It is only read.",
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Encrypt the keystore file to other recipients, or to a new identity of the workers'."""
    from caas_cli import key_files

    request = key_files.Reencryption(recipient or (), new_identity, with_identity)
    change = key_files.reencrypt(Home.from_env(), request, dry_run=dry_run)
    _show(change, as_json=as_json)
    if not dry_run:
        warn("Old copies of the file still open with the old identities.")


def _apply(rule: Rule, dry_run: bool, as_json: bool) -> None:
    from caas_cli import keystore_change

    _show(keystore_change.apply(Home.from_env(), rule, dry_run=dry_run), as_json=as_json)


def _show(change: Change, *, as_json: bool, **more: Any) -> None:
    from caas_cli import keystore_change

    keystore_change.show(change, as_json=as_json, **more)


def _say(words: list[str], *, as_json: bool, dry_run: bool) -> None:
    from caas_cli import keystore_change

    keystore_change.say_changes(words, as_json=as_json, is_dry_run=dry_run, more={})
