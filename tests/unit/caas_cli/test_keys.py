"""`caas key`: what each command changes, says, refuses and leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyrage
import pytest

from caas_cli import keys
from caas_cli.doctor import keys as doctor
from caas_cli.exit_codes import ExitCode
from caas_cli.home import Home
from worker.keystore import file
from worker.keystore.document import Keystore, State

DAY_S = 86_400


def load(home: Home) -> Keystore:
    return file.load(home.keystore, file.load_identities(home.identity))


def states(home: Home) -> list[str]:
    """The key versions' states, the primary marked."""
    keystore = load(home)
    return [
        record.state.value + ("*" if record.version == keystore.primary else "")
        for record in keystore.key_versions
    ]


@pytest.fixture
def rotated(made: Home, run: Any) -> Home:
    """A home with versions 1 and 2, the primary."""
    assert run("key", "rotate").exit_code == 0
    assert run("key", "promote", "2").exit_code == 0
    return made


def test_rotate_adds_and_does_not_promote(made: Home, run: Any) -> None:
    """The new version is there, the old one still makes values, and the next step is said."""
    done = run("key", "rotate")
    assert (done.exit_code, states(made)) == (0, ["enabled*", "enabled"])
    assert "caas key promote 2" in done.stderr


def test_rotate_says_the_new_version_in_json(made: Home, run: Any) -> None:
    """A script finds the new version's number."""
    done = json.loads(run("key", "rotate", "--json").stdout)
    assert done == {
        "dry_run": False,
        "changes": ["key version 2: added, hardened, enabled"],
        "version": 2,
    }


def test_rotate_promotes_after_a_while(
    made: Home, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a time to wait the version is added first, and promoted when the time is over."""
    seen: list[tuple[float, list[str]]] = []
    monkeypatch.setattr(keys.time, "sleep", lambda s: seen.append((s, states(made))))
    done = run("key", "rotate", "--promote-after", "5", "--json")
    assert seen == [(5, ["enabled*", "enabled"])]
    assert states(made) == ["enabled", "enabled*"]
    assert json.loads(done.stdout)["changes"] == [
        "key version 2: added, hardened, enabled",
        "primary key version: 1 -> 2",
    ]


def test_interrupted_wait_leaves_the_version_added(
    made: Home, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while waiting promotes nothing and says how to go on."""

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(keys.time, "sleep", interrupt)
    done = run("key", "rotate", "--promote-after", "5")
    assert (done.exit_code, states(made)) == (130, ["enabled*", "enabled"])
    assert "caas key promote 2" in done.stderr


def test_classic_version_comes_with_a_warning(made: Home, run: Any, tmp_path: Path) -> None:
    """A classic version needs the existing salts, and its weakness is said."""
    salts = tmp_path / "salts.json"
    salts.write_text('["a", "b"]')
    done = run("key", "rotate", "--profile", "classic", "--salt-pool", str(salts))
    assert (done.exit_code, load(made).key_versions[1].salt_pool) == (0, ("a", "b"))
    assert "classic profile is weak" in done.stderr


def test_weak_ciphers_come_with_a_warning(made: Home, run: Any) -> None:
    """A weak pool takes permission and the whole pool, and is warned of by name."""
    done = run("key", "rotate", "--allow-weak", "--cipher", "md5", "--cipher", "sha256")
    new = load(made).key_versions[1]
    assert (new.cipher_pool, new.allow_weak) == (("md5", "sha256"), True)
    assert "weak algorithms: md5." in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--profile", "classic"),
        ("--salt-pool", "salts.json"),
        ("--allow-weak",),
        ("--promote-after", "1"),
    ],
)
def test_options_that_do_not_go_together(made: Home, run: Any, options: tuple[str, ...]) -> None:
    """A half-said wish is refused and changes nothing."""
    before = made.keystore.read_bytes()
    assert run("key", "rotate", *options).exit_code == ExitCode.USAGE
    assert made.keystore.read_bytes() == before


def test_weak_cipher_without_permission(made: Home, run: Any) -> None:
    """md5 alone is not taken."""
    assert run("key", "rotate", "--cipher", "md5").exit_code == ExitCode.CONFIGURATION


def test_promoting_classic_over_hardened_is_warned_of(made: Home, run: Any, tmp_path: Path) -> None:
    """A step back to weak values is possible and said."""
    salts = tmp_path / "salts.json"
    salts.write_text('["a"]')
    run("key", "rotate", "--profile", "classic", "--salt-pool", str(salts))
    assert "classic profile is weak" in run("key", "promote", "2").stderr


def test_disable_and_enable(rotated: Home, run: Any) -> None:
    """A disabled version comes back."""
    run("key", "disable", "1")
    assert states(rotated) == ["disabled", "enabled*"]
    run("key", "enable", "1")
    assert states(rotated) == ["enabled", "enabled*"]


def test_destroy_needs_the_name(rotated: Home, run: Any) -> None:
    """Without a terminal and without the name nothing happens."""
    done = run("key", "destroy", "1")
    assert (done.exit_code, "--confirm key-1" in done.stderr) == (ExitCode.USAGE, True)
    assert states(rotated) == ["enabled", "enabled*"]


def test_destroy_with_another_name(rotated: Home, run: Any) -> None:
    """The name of another version is no confirmation."""
    done = run("key", "destroy", "1", "--confirm", "key-2")
    assert (done.exit_code, states(rotated)) == (ExitCode.USAGE, ["enabled", "enabled*"])


def test_destroy_has_a_week(rotated: Home, run: Any) -> None:
    """With the name the version is disabled now and its secret kept for seven days."""
    before_s = int(time.time())
    run("key", "destroy", "1", "--confirm", "key-1")
    record = load(rotated).key_versions[0]
    assert (record.state, record.root is None) == (State.DISABLED, False)
    assert before_s <= (record.destroy_at or 0) - 7 * DAY_S <= int(time.time())


@pytest.mark.parametrize(("command", "then"), [("enable", "enabled"), ("undo-destroy", "disabled")])
def test_destruction_can_be_undone(rotated: Home, run: Any, command: str, then: str) -> None:
    """Either command keeps the secret."""
    run("key", "destroy", "1", "--confirm", "key-1")
    assert run("key", command, "1").exit_code == 0
    record = load(rotated).key_versions[0]
    assert (record.state.value, record.destroy_at) == (then, None)


def test_destroy_at_once(rotated: Home, run: Any) -> None:
    """Without a grace period the same writing erases the secret."""
    done = run("key", "destroy", "1", "--confirm", "key-1", "--grace-days", "0")
    assert (done.stdout, load(rotated).key_versions[0].root) == (
        "key version 1: destroyed, its secret is erased\n",
        None,
    )


def test_finish_erases_what_is_due(rotated: Home, run: Any) -> None:
    """What is past its grace period goes with --finish, and what is not stays."""
    run("key", "rotate")
    due = [record.model_copy() for record in load(rotated).key_versions]
    due[0] = due[0].model_copy(update={"state": State.DISABLED, "destroy_at": 1})
    due[2] = due[2].model_copy(update={"state": State.DISABLED, "destroy_at": 2**39})
    whole = load(rotated).changed(key_versions=tuple(due))
    rotated.keystore.unlink()
    file.create(rotated.keystore, whole)
    assert "destroy" in {found.name for found in doctor.keystore(rotated) if not found.is_ok}
    assert run("key", "destroy", "--finish").stdout.startswith("key version 1: destroyed")
    assert all(found.is_ok for found in doctor.keystore(rotated))
    assert states(rotated) == ["destroyed", "enabled*", "disabled"]


@pytest.mark.parametrize("arguments", [(), ("1", "--finish")])
def test_destroy_takes_a_version_or_finish(
    rotated: Home, run: Any, arguments: tuple[str, ...]
) -> None:
    """One of the two, and not both."""
    assert run("key", "destroy", *arguments).exit_code == ExitCode.USAGE


def test_minimums(rotated: Home, run: Any) -> None:
    """Both minimums are set; none is a wrong command line."""
    run("key", "minimum", "--making", "2", "--checking", "2")
    keystore = load(rotated)
    assert (keystore.minimum_making, keystore.minimum_checking) == (2, 2)
    assert run("key", "minimum").exit_code == ExitCode.USAGE


REFUSED = [
    ("promote", "2"),
    ("promote", "9"),
    ("disable", "2"),
    ("enable", "1"),
    ("destroy", "2", "--confirm", "key-2"),
    ("undo-destroy", "1"),
    ("minimum", "--checking", "3"),
]


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_refused_command_changes_nothing(
    rotated: Home, run: Any, arguments: tuple[str, ...]
) -> None:
    """What a rule refuses is one line on standard error, and the file stays as it is."""
    before = rotated.keystore.read_bytes()
    done = run("key", *arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (ExitCode.CONFIGURATION, 1)
    assert rotated.keystore.read_bytes() == before


CHANGING = [
    ("key", "rotate"),
    ("key", "rotate", "--promote-after", "2"),
    ("key", "promote", "1"),
    ("key", "disable", "1"),
    ("key", "destroy", "1"),
    ("key", "destroy", "--finish"),
    ("key", "minimum", "--making", "2"),
    ("key", "reencrypt-keystore", "--new-identity"),
    ("key", "export", "--out", "keys.age", "--to", "RECIPIENT"),
    ("service-key", "rotate"),
    ("service-key", "rotate", "--retire-old"),
    ("apikey", "create"),
    ("apikey", "rotate", "KEY"),
    ("apikey", "revoke", "KEY"),
    ("tenant", "set-limits", "shop", "--guesses-per-day", "5"),
    ("tenant", "set-limits", "shop", "--default"),
    ("tenant", "set-password-profile", "shop", "cheapest"),
]


@pytest.mark.parametrize("arguments", CHANGING, ids=" ".join)
def test_dry_run_writes_nothing(
    rotated: Home,
    run: Any,
    arguments: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A dry run asks for no confirmation, waits for nothing, leaves every file and says so."""
    monkeypatch.chdir(rotated.folder)
    words = {"RECIPIENT": load(rotated).recipients[0], "KEY": load(rotated).api_keys[0].key_id}
    before = contents(rotated.folder)
    command = [*(words.get(word, word) for word in arguments), "--dry-run"]
    said = [run(*command), run(*command, "--json")]
    assert [done.exit_code for done in said] == [0, 0]
    assert contents(rotated.folder) == before
    assert "dry run" in said[0].stdout
    assert json.loads(said[1].stdout)["dry_run"] is True


UNDONE_OR_LATER = [
    ("key disable 1", "key enable 1"),
    ("key destroy 1 --confirm key-1", "key undo-destroy 1"),
    ("service-key rotate", "service-key retire SERVICE"),
    ("service-key rotate --retire-old", "service-key remove SERVICE --force"),
]


@pytest.mark.parametrize(("first", "then"), UNDONE_OR_LATER)
def test_dry_run_of_a_later_step_writes_nothing(
    rotated: Home, run: Any, first: str, then: str
) -> None:
    """A step that needs another before it changes nothing in a dry run either, and says so."""
    words = {"SERVICE": load(rotated).service_keys[0].key_id}
    assert run(*first.split()).exit_code == 0
    before = contents(rotated.folder)
    done = run(*(words.get(word, word) for word in then.split()), "--dry-run", "--json")
    assert (done.exit_code, contents(rotated.folder) == before) == (0, True)
    said = json.loads(done.stdout)
    assert (said["dry_run"], bool(said["changes"])) == (True, True)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_dry_run_and_real_run_say_the_same(rotated: Home, run: Any) -> None:
    """What a dry run announces is what then happens."""
    command = ("key", "disable", "1", "--json")
    announced, done = (json.loads(run(*command, *more).stdout) for more in (("--dry-run",), ()))
    assert announced["changes"] == done["changes"] == ["key version 1: disabled"]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_list_shows_no_secret(rotated: Home, run: Any, options: tuple[str, ...]) -> None:
    """Neither a root nor a salt is in a listing, in whatever form."""
    import base64

    shown = run("key", "list", *options).stdout
    for record in load(rotated).key_versions:
        root = record.root or b""
        assert base64.b64encode(root).decode() not in shown
        assert root.hex() not in shown
        assert not [salt for salt in record.salt_pool if salt in shown]


def test_list_says_what_counts(rotated: Home, run: Any) -> None:
    """The primary, the states and what is checked are in the listing."""
    run("key", "minimum", "--checking", "2")
    listed = json.loads(run("key", "list", "--json").stdout)
    assert (listed["primary"], listed["minimum_checking"]) == (2, 2)
    assert [key["checked"] for key in listed["key_versions"]] == [False, True]


def test_exported_versions_open_for_their_recipient_alone(
    rotated: Home, run: Any, tmp_path: Path
) -> None:
    """The export is an age file of its own, private to its owner, that this home can't open."""
    theirs = pyrage.x25519.Identity.generate()
    out = tmp_path / "keys.age"
    run("key", "export", "--version", "2", "--to", str(theirs.to_public()), "--out", str(out))
    opened = json.loads(pyrage.decrypt(out.read_bytes(), [theirs]))
    assert [record["version"] for record in opened["key_versions"]] == [2]
    assert out.stat().st_mode & 0o777 == 0o600
    assert run("key", "import", str(out)).exit_code == ExitCode.CONFIGURATION


def test_export_overwrites_nothing(rotated: Home, run: Any, tmp_path: Path) -> None:
    """A file that is there already stays."""
    out = tmp_path / "keys.age"
    out.write_text("mine")
    recipient = load(rotated).recipients[0]
    done = run("key", "export", "--to", recipient, "--out", str(out))
    assert (done.exit_code, out.read_text()) == (ExitCode.USAGE, "mine")


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "--out", "new.age", "--to", "canary"),
        ("reencrypt-keystore", "--recipient", "canary"),
        ("reencrypt-keystore",),
    ],
)
def test_malformed_recipient(rotated: Home, run: Any, arguments: tuple[str, ...]) -> None:
    """What is no recipient is refused and not repeated."""
    done = run("key", *arguments)
    assert (done.exit_code, "canary" in done.stderr) == (ExitCode.USAGE, False)


def test_export_that_cannot_be_written(rotated: Home, run: Any, tmp_path: Path) -> None:
    """A folder that isn't there is one line, and nothing is left behind."""
    recipient = load(rotated).recipients[0]
    done = run("key", "export", "--to", recipient, "--out", str(tmp_path / "none" / "keys.age"))
    assert (done.exit_code, done.stderr.count("\n")) == (ExitCode.CONFIGURATION, 1)
    assert "cannot be written" in done.stderr


BAD_EXPORTS = {
    "missing": (None, "not found"),
    "empty": (b"", "is empty"),
    "no age file": (b"canary", "does not open with this identity, or the file is damaged"),
}


@pytest.mark.parametrize(("content", "reason"), BAD_EXPORTS.values(), ids=BAD_EXPORTS.keys())
def test_import_of_a_bad_file(
    rotated: Home, run: Any, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    """A file that can't be taken in changes nothing and is not shown."""
    before = rotated.keystore.read_bytes()
    path = tmp_path / "keys.age"
    if content is not None:
        path.write_bytes(content)
    done = run("key", "import", str(path))
    assert (done.exit_code, reason in done.stderr) == (ExitCode.CONFIGURATION, True)
    assert "canary" not in done.stderr
    assert rotated.keystore.read_bytes() == before


def test_exported_versions_come_back(rotated: Home, run: Any, tmp_path: Path) -> None:
    """A version that is missing from a keystore is taken in from an export."""
    out = tmp_path / "keys.age"
    whole = load(rotated)
    run("key", "export", "--to", whole.recipients[0], "--out", str(out))
    rotated.keystore.unlink()
    file.create(rotated.keystore, whole.changed(key_versions=whole.key_versions[1:]))
    done = run("key", "import", str(out))
    assert done.stdout == "key version 1: added, hardened, enabled\n"
    assert load(rotated).key_versions == whole.key_versions


def test_import_with_another_identity(rotated: Home, run: Any, tmp_path: Path) -> None:
    """An export for someone else's identity is opened with that identity's file."""
    theirs = pyrage.x25519.Identity.generate()
    identity, out = tmp_path / "theirs.txt", tmp_path / "keys.age"
    identity.write_text(str(theirs))
    run("key", "export", "--to", str(theirs.to_public()), "--out", str(out))
    done = run("key", "import", str(out), "--identity", str(identity))
    assert (done.exit_code, done.stdout) == (0, "nothing to change\n")


def test_import_of_a_keystore(rotated: Home, run: Any) -> None:
    """A keystore is no export."""
    done = run("key", "import", str(rotated.keystore))
    assert "holds no exported key versions" in done.stderr


def test_new_identity_opens_and_the_old_one_does_not(rotated: Home, run: Any) -> None:
    """After a re-encryption the old identity is of no use, and the recovery one still is."""
    old = file.load_identities(rotated.identity)
    recovery = file.load_identities(rotated.recovery_identity)
    before = load(rotated)
    done = run("key", "reencrypt-keystore", "--new-identity")
    assert done.exit_code == 0
    assert load(rotated).key_versions == before.key_versions
    assert file.load(rotated.keystore, recovery) == load(rotated)
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(rotated.keystore.read_bytes(), old)
    assert len(file.load_identities(rotated.identity)) == 1


def test_other_recipients(rotated: Home, run: Any) -> None:
    """Given recipients take the place of the others; this home's identity stays one."""
    theirs = pyrage.x25519.Identity.generate()
    run("key", "reencrypt-keystore", "--recipient", str(theirs.to_public()))
    own = str(file.load_identities(rotated.identity)[0].to_public())
    assert load(rotated).recipients == (own, str(theirs.to_public()))
    assert file.load(rotated.keystore, [theirs]) == load(rotated)


@pytest.mark.parametrize("crash_at", [1, 2, 3])
def test_crash_of_a_reencryption_locks_nobody_out(
    rotated: Home, run: Any, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    """Whichever of its three writings fails, the keystore opens with the identity file there is."""
    before = load(rotated)
    written: list[Path] = []
    real = file.write_private

    def failing(path: Path, content: bytes, **options: Any) -> None:
        written.append(path)
        if len(written) == crash_at:
            raise OSError(28, "No space left on device")
        real(path, content, **options)

    monkeypatch.setattr(file, "write_private", failing)
    done = run("key", "reencrypt-keystore", "--new-identity")
    assert (done.exit_code, len(written)) == (ExitCode.CONFIGURATION, crash_at)
    assert load(rotated).key_versions == before.key_versions


@pytest.fixture
def elsewhere(rotated: Home, tmp_path: Path) -> Path:
    """The recovery identity, off the machine whose own identity is lost."""
    kept = tmp_path / "safe.txt"
    rotated.recovery_identity.rename(kept)
    rotated.identity.unlink()
    return kept


def recover(run: Any, kept: Path, *more: str) -> Any:
    return run("key", "reencrypt-keystore", "--new-identity", "--with-identity", str(kept), *more)


def test_lost_identity_is_replaced(rotated: Home, run: Any, elsewhere: Path) -> None:
    """The recovery identity opens the keystore for a new identity; the lost one is out."""
    before = file.load(rotated.keystore, file.load_identities(elsewhere))
    secret = elsewhere.read_bytes()
    done = recover(run, elsewhere)
    (new,) = file.load_identities(rotated.identity)
    after = load(rotated)
    assert (done.exit_code, elsewhere.read_bytes()) == (0, secret)
    assert after.recipients == (str(new.to_public()), before.recipients[1])
    assert after.key_versions == before.key_versions
    assert file.load(rotated.keystore, file.load_identities(elsewhere)) == after


def test_lost_identity_among_several_recipients(rotated: Home, run: Any, elsewhere: Path) -> None:
    """Only the workers' recipient is taken out; others who may open it stay."""
    theirs = str(pyrage.x25519.Identity.generate().to_public())
    keystore = file.load(rotated.keystore, file.load_identities(elsewhere))
    rotated.keystore.unlink()
    file.create(rotated.keystore, keystore.changed(recipients=(*keystore.recipients, theirs)))
    recover(run, elsewhere)
    assert load(rotated).recipients[1:] == (keystore.recipients[1], theirs)


def test_lost_identity_with_recipients_named(rotated: Home, run: Any, elsewhere: Path) -> None:
    """Named recipients take the place of all others, as they always do."""
    theirs = str(pyrage.x25519.Identity.generate().to_public())
    recover(run, elsewhere, "--recipient", theirs)
    assert load(rotated).recipients[1:] == (theirs,)


def test_identity_of_another_installation_is_replaced_too(
    rotated: Home, run: Any, elsewhere: Path
) -> None:
    """A file of the workers' that doesn't open the keystore doesn't stand in the way."""
    rotated.identity.write_text(str(pyrage.x25519.Identity.generate()))
    recover(run, elsewhere)
    assert len(load(rotated).recipients) == 2


def test_dry_run_of_a_recovery_makes_no_identity(rotated: Home, run: Any, elsewhere: Path) -> None:
    """It says what would change, and the lost file stays lost."""
    done = recover(run, elsewhere, "--dry-run")
    assert (done.exit_code, rotated.identity.exists()) == (0, False)
    assert (": added" in done.stdout, ": removed" in done.stdout) == (True, True)


@pytest.mark.parametrize("crash_at", [1, 2, 3])
def test_crash_of_a_recovery_can_be_done_again(
    rotated: Home, run: Any, monkeypatch: pytest.MonkeyPatch, elsewhere: Path, crash_at: int
) -> None:
    """Whichever of its writings fails, the same command once more comes to the same end."""
    written: list[Path] = []
    real = file.write_private

    def failing(path: Path, content: bytes, **options: Any) -> None:
        written.append(path)
        if len(written) == crash_at:
            raise OSError(28, "No space left on device")
        real(path, content, **options)

    monkeypatch.setattr(file, "write_private", failing)
    assert recover(run, elsewhere).exit_code == ExitCode.CONFIGURATION
    assert recover(run, elsewhere).exit_code == 0
    kept = str(file.load_identities(elsewhere)[0].to_public())
    assert (len(file.load_identities(rotated.identity)), load(rotated).recipients[1:]) == (
        1,
        (kept,),
    )


def test_recovery_identity_in_the_place_of_the_workers_is_not_overwritten(
    rotated: Home, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With CAAS_IDENTITY naming the recovery identity nothing changes, and what to do is said."""
    monkeypatch.setenv("CAAS_IDENTITY", str(rotated.recovery_identity))
    before = contents(rotated.folder)
    done = run("key", "reencrypt-keystore", "--new-identity")
    again = recover(run, rotated.recovery_identity)
    assert [done.exit_code, again.exit_code] == [ExitCode.USAGE, ExitCode.USAGE]
    assert "--with-identity" in done.stderr
    assert contents(rotated.folder) == before


def test_recovery_with_the_workers_own_identity(rotated: Home, run: Any, tmp_path: Path) -> None:
    """Which recipient is lost can't be told then: the others have to be named."""
    kept = tmp_path / "safe.txt"
    rotated.identity.rename(kept)
    before = contents(rotated.folder)
    done = recover(run, kept)
    assert (done.exit_code, "--recipient" in done.stderr) == (ExitCode.USAGE, True)
    assert contents(rotated.folder) == before


def test_damaged_identity_file_is_not_overwritten(rotated: Home, run: Any, elsewhere: Path) -> None:
    """What the workers' file holds, and nobody can read, is the operator's to move away."""
    rotated.identity.write_text("not an identity")
    done = recover(run, elsewhere)
    assert (done.exit_code, rotated.identity.read_text()) == (
        ExitCode.CONFIGURATION,
        "not an identity",
    )


def test_other_identity_without_a_new_one(rotated: Home, run: Any) -> None:
    """The option is for making a new identity only."""
    done = run("key", "reencrypt-keystore", "--with-identity", "x", "--recipient", "y")
    assert (done.exit_code, "--new-identity" in done.stderr) == (ExitCode.USAGE, True)


def test_commands_at_once_lose_nothing(made: Home) -> None:
    """Four operators who rotate at the same time add four versions."""
    env = {**os.environ, "CAAS_HOME": str(made.folder)}
    command = [sys.executable, "-m", "caas_cli", "key", "rotate"]
    running = [subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert [record.version for record in load(made).key_versions] == [1, 2, 3, 4, 5]
