"""`caas init`: private files, nothing overwritten, and a crash at any point loses nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyrage
import pytest

from caas_cli import client_env
from caas_cli.exit_codes import CommandError, ExitCode
from caas_cli.home import Home
from caas_cli.init import InitRequest, finish_interrupted, init
from worker.keystore import change, file
from worker.keystore.document import Profile


def keystore_of(home: Home, identity: Path | None = None) -> Any:
    return file.load(home.keystore, file.load_identities(identity or home.identity))


def test_files_are_private(made: Home) -> None:
    """No file or folder that `init` makes can be read by another user."""
    open_to_others = [
        path for path in (made.folder, *made.folder.rglob("*")) if path.stat().st_mode & 0o077
    ]
    assert open_to_others == []


def test_identity_has_the_form_of_age_keygen(made: Home) -> None:
    """Two comments and a key, so that age's own tools take the file."""
    created, public, secret = made.identity.read_text().splitlines()
    told = (created[:11], public[:19], secret[:16])
    assert told == ("# created: ", "# public key: age1"[:19] + public[18:19], "AGE-SECRET-KEY-1")


def test_recovery_identity_opens_the_keystore(made: Home) -> None:
    """The second identity opens the keystore without the first."""
    assert keystore_of(made, made.recovery_identity) == keystore_of(made)


def test_given_recovery_recipient_opens_the_keystore(home: Home, tmp_path: Path) -> None:
    """A recipient whose identity is kept elsewhere stands in for the second identity."""
    identity = pyrage.x25519.Identity.generate()
    init(home, InitRequest(recovery_recipient=str(identity.to_public())))
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text(f"{identity}\n")
    opened = keystore_of(home, elsewhere)
    assert (opened.primary, home.recovery_identity.exists()) == (1, False)


def test_client_env_has_a_main_servers_four_settings(made: Home) -> None:
    """client.env holds what a main server needs, and nothing else."""
    assert list(client_env.read(made.client_env)) == [
        "CAAS_BROKER_URL",
        "CAAS_API_KEY",
        "CAAS_SERVER_KEY",
        "CAAS_GATEWAY_URL",
    ]


def test_server_key_is_the_keystores(made: Home) -> None:
    """The public key that main servers get belongs to the keystore."""
    told = client_env.read(made.client_env)[client_env.SERVER_KEY]
    assert told == change.public_key(keystore_of(made)).to_text()


def test_external_broker_goes_into_client_env(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """With CAAS_BROKER_URL set, main servers are told of that broker."""
    monkeypatch.setenv("CAAS_BROKER_URL", "rediss://broker.example:6379/0")
    init(home, InitRequest())
    told = client_env.read(home.client_env)[client_env.BROKER_URL]
    assert told == "rediss://broker.example:6379/0"


def test_second_init_is_refused(made: Home) -> None:
    """An installation is never overwritten."""
    before = {path: path.read_bytes() for path in made.folder.iterdir()}
    with pytest.raises(CommandError, match="exists already"):
        init(made, InitRequest())
    assert {path: path.read_bytes() for path in made.folder.iterdir()} == before


def test_client_env_without_keystore_is_not_overwritten(made: Home) -> None:
    """Where the keystore was moved to its workers, the API key in client.env stays."""
    made.keystore.unlink()
    with pytest.raises(CommandError, match=r"client\.env exists already"):
        init(made, InitRequest())


# --- crashes


class CrashError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("name", ["identity.txt", "recovery-identity.txt", ".client.env.pending"])
def test_init_after_a_crash_behind_any_file_succeeds(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A crash right after any file leaves what the next `init` goes on from."""
    write = file.write_private

    def crash_after(path: Path, content: bytes) -> None:
        write(path, content)
        if path.name == name:
            raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(file, "write_private", crash_after)
        with pytest.raises(CrashError):
            init(home, InitRequest())
    init(home, InitRequest())
    assert keystore_of(home) == keystore_of(home, home.recovery_identity)


def test_identity_of_an_interrupted_init_is_kept(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An identity that exists is used, never replaced: something may be encrypted to it."""
    with monkeypatch.context() as patch:
        patch.setattr(file, "create", lambda *_args: (_ for _ in ()).throw(CrashError))
        with pytest.raises(CrashError):
            init(home, InitRequest())
    before = home.identity.read_text()
    init(home, InitRequest())
    assert home.identity.read_text() == before


def test_crash_behind_the_keystore_loses_no_api_key(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings written before the keystore get their name when `up` or `init` comes next."""
    replace = Path.replace

    def crash_at_the_last(path: Path, target: Path) -> Path:
        if target == home.client_env:
            raise CrashError
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash_at_the_last)
        with pytest.raises(CrashError):
            init(home, InitRequest())
    finish_interrupted(home)
    (record,) = keystore_of(home).api_keys
    assert client_env.read(home.client_env)[client_env.API_KEY].split("_")[1] == record.key_id


# --- the command


def test_command_prints_the_settings(home: Home, run: Any) -> None:
    """What the main server must be given stands on standard output, the API key included."""
    printed = run("init").stdout
    assert home.client_env.read_text() in printed


def test_command_prints_json(home: Home, run: Any) -> None:
    """`--json` gives a script the same settings."""
    printed = json.loads(run("init", "--json").stdout)
    assert printed["client"] == client_env.read(home.client_env)


def test_command_tells_to_move_the_recovery_identity(run: Any) -> None:
    """The operator is told to take the recovery identity off the machine."""
    assert "off this machine" in run("init").stderr


def test_tenant_has_the_given_name(home: Home, run: Any) -> None:
    """`--tenant` names the first application."""
    run("init", "--tenant", "billing")
    assert [tenant.name for tenant in keystore_of(home).tenants] == ["billing"]


def test_malformed_tenant_is_refused_without_leaving_a_keystore(home: Home, run: Any) -> None:
    """A tenant's name that can't be one ends `init` before a keystore exists."""
    done = run("init", "--tenant", "No Such Name")
    assert (done.exit_code, home.keystore.exists()) == (ExitCode.CONFIGURATION, False)


def test_home_that_others_may_enter_is_refused(home: Home, run: Any) -> None:
    """A folder that holds files already and is open to others is no place for keys."""
    home.folder.mkdir(mode=0o755)
    (home.folder / "file").touch()
    assert "chmod 700" in run("init").stderr


# --- the classic profile


@pytest.fixture
def salts(tmp_path: Path) -> Path:
    path = tmp_path / "salts.json"
    path.write_text(json.dumps(["salt one", "salt two"]))
    return path


def test_classic_keeps_the_operators_salts_in_order(home: Home, run: Any, salts: Path) -> None:
    """The imported list is the salt pool, as it came."""
    run("init", "--profile", "classic", "--salt-pool", str(salts))
    (version,) = keystore_of(home).key_versions
    assert (version.profile, version.salt_pool) == (Profile.CLASSIC, ("salt one", "salt two"))


def test_classic_says_that_it_is_weak(run: Any, salts: Path) -> None:
    """`init --profile classic` says plainly what the operator gets."""
    done = run("init", "--profile", "classic", "--salt-pool", str(salts))
    assert "classic profile is weak" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--profile", "classic"),
        ("--profile", "hardened", "--salt-pool", "salts.json"),
        ("--recovery-recipient", "not-a-recipient"),
    ],
)
def test_options_that_do_not_go_together_are_refused(run: Any, options: tuple[str, ...]) -> None:
    """Wrong options end with exit code 2 and one line."""
    done = run("init", *options)
    assert (done.exit_code, done.stderr.count("\n")) == (ExitCode.USAGE, 1)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"[1]", b'[""]', b"not json", b"\xff\xfe", b"[" * 100_000],
    ids=["empty", "object", "no salt", "number", "empty salt", "text", "binary", "deep"],
)
def test_malformed_salt_pool_is_refused_in_one_line(
    home: Home, run: Any, salts: Path, content: bytes
) -> None:
    """A file that is no list of salts ends `init` with its name, before anything is made."""
    salts.write_bytes(content)
    done = run("init", "--profile", "classic", "--salt-pool", str(salts))
    told = (done.exit_code, done.stderr.startswith(f"caas: salt pool {salts}: "))
    assert (*told, home.folder.exists()) == (ExitCode.CONFIGURATION, True, False)
