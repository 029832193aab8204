"""The keystore on disk: an age file, written whole, under a lock."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest

from worker.keystore import document, file
from worker.keystore.document import Keystore, State
from worker.keystore.errors import KeystoreError

NewKeystore = Callable[..., Keystore]
ADD_KEYS = """
import secrets, sys
from pathlib import Path
from worker.keystore import change, file

path, identity, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
identities = file.load_identities(identity)
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    file.update(path, identities, lambda keystore: change.add_api_key(
        keystore, tenant=sys.argv[4], scopes=["encrypt"], expires_at=None, now_s=1, random=secrets,
    ).keystore)
"""
CRASH = """
import os, sys
from pathlib import Path
from worker.keystore import file

path, identities = Path(sys.argv[1]), file.load_identities(Path(sys.argv[2]))
os.replace = lambda *_: os._exit(9)
file.update(path, identities, lambda keystore: keystore.changed(tenants=()))
"""


@pytest.fixture
def stored(new_keystore: NewKeystore, identity: Any) -> Keystore:
    return new_keystore(recipients=[str(identity.to_public())])


@pytest.fixture
def path(tmp_path: Path, stored: Keystore) -> Path:
    found = tmp_path / "keystore.age"
    file.create(found, stored)
    return found


@pytest.fixture
def identity_path(tmp_path: Path, identity: Any) -> Path:
    found = tmp_path / "identity.txt"
    found.write_text(f"# created by a test\n\n  {identity}  \n# end\n")
    return found


def load_failure(path: Path, identities: Any) -> str:
    """The reason why a keystore does not load, having checked that nothing hangs on the error."""
    with pytest.raises(KeystoreError) as caught:
        file.load(path, identities)
    assert caught.value.__context__ is None
    return str(caught.value).removeprefix(f"keystore {path}: ")


# --- identities ----------------------------------------------------------------------------------


def test_identity_file(identity_path: Path, identity: Any) -> None:
    """Comments and empty lines of an identity file are skipped."""
    (found,) = file.load_identities(identity_path)
    assert str(found) == str(identity)


def test_several_identities(tmp_path: Path, identity: Any) -> None:
    """An identity file may hold more than one identity, in order."""
    other = pyrage.x25519.Identity.generate()
    path = tmp_path / "identity.txt"
    path.write_text(f"{identity}\n{other}\n")
    assert [str(found) for found in file.load_identities(path)] == [str(identity), str(other)]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "AGE-SECRET-KEY-1CANARY\n", "\xff\n"])
def test_identity_file_without_identity(tmp_path: Path, text: str) -> None:
    """A file that holds no identity is refused without its content."""
    path = tmp_path / "identity.txt"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(KeystoreError) as caught:
        file.load_identities(path)
    assert str(caught.value) == f"identity file {path}: holds no age identity"
    assert caught.value.__context__ is None


@pytest.mark.parametrize("order", [0, 1])
def test_one_wrong_line_spoils_an_identity_file(tmp_path: Path, identity: Any, order: int) -> None:
    """A line that is no identity makes the file suspect, wherever it stands."""
    lines = [str(identity), "AGE-SECRET-KEY-1CANARY"]
    path = tmp_path / "identity.txt"
    path.write_text("\n".join(lines if order else reversed(lines)))
    with pytest.raises(KeystoreError, match="holds no age identity"):
        file.load_identities(path)


@pytest.mark.parametrize("separator", ["\u2028", "\u0085"])
def test_comment_with_other_line_separators(tmp_path: Path, identity: Any, separator: str) -> None:
    """Only ASCII line ends end a comment, so no identity hides in what looks like one."""
    path = tmp_path / "identity.txt"
    path.write_text(f"# old:{separator}{identity}\n", encoding="utf-8")
    with pytest.raises(KeystoreError, match="holds no age identity"):
        file.load_identities(path)


def test_missing_identity_file(tmp_path: Path) -> None:
    """A missing identity file is said to be missing."""
    with pytest.raises(KeystoreError) as caught:
        file.load_identities(tmp_path / "none.txt")
    assert str(caught.value) == f"identity file {tmp_path / 'none.txt'}: not found"


# --- reading -------------------------------------------------------------------------------------


def test_keystore_comes_back(path: Path, stored: Keystore, identity: Any) -> None:
    """What was created is loaded."""
    assert file.load(path, [identity]) == stored


def test_file_is_an_ordinary_age_file(path: Path, stored: Keystore, identity: Any) -> None:
    """The file is in age's format, and decrypting it gives the document."""
    raw = path.read_bytes()
    assert raw.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert pyrage.decrypt(raw, [identity]) == document.encode(stored)


def test_recovery_identity_opens_it(
    tmp_path: Path, new_keystore: NewKeystore, identity: Any
) -> None:
    """Each recipient's identity opens the file by itself."""
    recovery = pyrage.x25519.Identity.generate()
    keystore = new_keystore(recipients=[str(identity.to_public()), str(recovery.to_public())])
    file.create(tmp_path / "k.age", keystore)
    assert file.load(tmp_path / "k.age", [recovery]) == keystore
    assert file.load(tmp_path / "k.age", [identity]) == keystore


def test_missing_keystore(tmp_path: Path, identity: Any) -> None:
    """A missing file is said to be missing."""
    assert load_failure(tmp_path / "none.age", [identity]) == "not found"


def test_empty_keystore(path: Path, identity: Any) -> None:
    """An empty file is said to be empty."""
    path.write_bytes(b"")
    assert load_failure(path, [identity]) == "the file is empty"


def test_folder_in_its_place(tmp_path: Path, identity: Any) -> None:
    """What cannot be read is refused with the system's reason."""
    assert load_failure(tmp_path, [identity]) == "cannot be read: Is a directory"


DAMAGED = "does not open with this identity, or the file is damaged"


def test_keystore_of_another(path: Path) -> None:
    """A keystore for another identity does not open."""
    assert load_failure(path, [pyrage.x25519.Identity.generate()]) == DAMAGED


def test_half_written_keystore(path: Path, identity: Any) -> None:
    """A keystore that ends early, anywhere, does not open."""
    raw = path.read_bytes()
    for end in [1, 20, 60, 150, 200, 300, len(raw) // 2, len(raw) - 1]:
        path.write_bytes(raw[:end])
        assert load_failure(path, [identity]) == DAMAGED


def test_damaged_keystore(path: Path, identity: Any) -> None:
    """A keystore with one changed bit, anywhere, does not open."""
    raw = path.read_bytes()
    for at in [*range(240), *range(240, len(raw), 499), len(raw) - 1]:
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        assert load_failure(path, [identity]) == DAMAGED


@pytest.mark.parametrize("raw", [b"canary", b"\0" * 1_000, b"age-encryption.org/v1\n", b"{}"])
def test_what_is_no_age_file(path: Path, identity: Any, raw: bytes) -> None:
    """A file of another format does not open."""
    path.write_bytes(raw)
    assert load_failure(path, [identity]) == DAMAGED


def test_age_file_without_keystore(path: Path, identity: Any) -> None:
    """An age file that opens but holds something else is told apart, with the file's name."""
    path.write_bytes(pyrage.encrypt(b"{}", [identity.to_public()]))
    assert load_failure(path, [identity]) == "the file opens, but holds no keystore"


def test_keystore_of_a_future_version(path: Path, identity: Any) -> None:
    """A keystore of a later release says what to do."""
    raw = b'{"format": "caas-keystore", "format_version": 2}'
    path.write_bytes(pyrage.encrypt(raw, [identity.to_public()]))
    assert load_failure(path, [identity]).endswith("this release reads up to 1: upgrade first")


def test_largest_file(path: Path, identity: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of exactly the limit is read; one byte more is not."""
    assert file.MAX_FILE_BYTES == 16_777_216
    size = path.stat().st_size
    monkeypatch.setattr(file, "MAX_FILE_BYTES", size)
    assert file.load(path, [identity])
    monkeypatch.setattr(file, "MAX_FILE_BYTES", size - 1)
    assert load_failure(path, [identity]) == f"is over {size - 1} bytes"


def test_no_more_is_read_than_the_limit_needs(
    path: Path, identity: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an endless file one byte more than the limit is asked for, so memory stays bounded."""
    asked: list[int | None] = []

    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            asked.append(size)
            return bytes(file.MAX_FILE_BYTES + 1)

    monkeypatch.setattr(file, "MAX_FILE_BYTES", 10)
    monkeypatch.setattr(Path, "open", lambda *_: Endless())
    assert load_failure(path, [identity]) == "is over 10 bytes"
    assert asked == [11]


# --- writing -------------------------------------------------------------------------------------


def test_file_is_private(path: Path) -> None:
    """Only the owner may read the keystore, and its lock."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.with_name("keystore.age.lock").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_owner_stays(path: Path, identity: Any) -> None:
    """What root changes is still the file of the user that containers run as."""
    os.chown(path, 10001, 10001)
    file.update(path, [identity], lambda keystore: keystore)
    assert (path.stat().st_uid, path.stat().st_gid) == (10001, 10001)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_new_file_is_given_to_a_like_ones_owner(path: Path) -> None:
    """A file that wasn't there is given to the owner of the one it belongs to."""
    os.chown(path, 10001, 10001)
    file.write_private(path.with_name("new"), b"", like=path)
    assert path.with_name("new").stat().st_uid == 10001


def test_file_that_cannot_be_given_away_is_written(
    path: Path, stored: Keystore, identity: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may not keep the owner still changes the keystore."""

    def refuse(*_args: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "geteuid", lambda: -1)
    monkeypatch.setattr(os, "fchown", refuse)
    file.update(path, [identity], lambda keystore: keystore.changed(tenants=()))
    assert file.load(path, [identity]).tenants == ()


def test_create_overwrites_nothing(path: Path, stored: Keystore, identity: Any) -> None:
    """A keystore that is there already is left alone."""
    with pytest.raises(KeystoreError) as caught:
        file.create(path, stored.changed(tenants=()))
    assert str(caught.value) == f"keystore {path}: exists already"
    assert file.load(path, [identity]) == stored


def test_update_writes_the_change(path: Path, stored: Keystore, identity: Any) -> None:
    """An update returns what it wrote."""
    changed = file.update(path, [identity], lambda keystore: keystore.changed(tenants=()))
    assert changed == stored.changed(tenants=()) == file.load(path, [identity])


def test_update_keeps_the_keystore_up(path: Path, stored: Keystore, identity: Any) -> None:
    """Any writing makes the audit key that an old keystore lacks."""
    path.unlink()
    file.create(path, stored.changed(audit_key=None))
    file.update(path, [identity], lambda keystore: keystore, random_bytes=lambda size: b"a" * size)
    assert file.load(path, [identity]).audit_key == b"a" * 32


def test_update_erases_what_is_due(path: Path, stored: Keystore, identity: Any) -> None:
    """Any writing erases the secret of a key version whose grace period is over."""
    pending = stored.key_versions[0].model_copy(
        update={"version": 2, "state": State.DISABLED, "destroy_at": 9}
    )
    path.unlink()
    file.create(path, stored.changed(key_versions=(*stored.key_versions, pending)))
    file.update(path, [identity], lambda keystore: keystore, now_s=lambda: 9)
    assert file.load(path, [identity]).key_versions[1].root is None


def test_too_large_a_keystore_is_not_written(
    path: Path, stored: Keystore, identity: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that no reader would take is not put in the place of one that opens."""
    before = path.read_bytes()
    monkeypatch.setattr(file, "MAX_FILE_BYTES", len(before))
    with pytest.raises(KeystoreError, match=r"would be over \d+ bytes"):
        file.update(
            path, [identity], lambda keystore: keystore.changed(recipients=stored.recipients * 2)
        )
    assert path.read_bytes() == before


def test_failed_change_writes_nothing(path: Path, stored: Keystore, identity: Any) -> None:
    """An error in the change leaves the file, and the lock is free afterwards."""
    with pytest.raises(KeystoreError, match="the primary"):
        file.update(path, [identity], lambda keystore: keystore.changed(primary=7))
    assert file.load(path, [identity]) == stored
    assert file.update(path, [identity], lambda keystore: keystore) == stored


def test_failed_write_leaves_no_trace(
    path: Path, stored: Keystore, identity: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full the old keystore stays and no temporary file is left."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = sorted(path.parent.iterdir())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeystoreError) as caught:
        file.update(path, [identity], lambda keystore: keystore.changed(tenants=()))
    assert str(caught.value) == f"keystore {path}: cannot be written: No space left on device"
    assert caught.value.__context__ is None
    monkeypatch.undo()
    assert sorted(path.parent.iterdir()) == before
    assert file.load(path, [identity]) == stored


def test_failed_write_of_a_file_already_cleaned_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk's own error comes out, even where something else removed the temporary file."""

    def fail(_descriptor: int) -> None:
        (temporary,) = tmp_path.iterdir()
        temporary.unlink()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        file.write_private(tmp_path / "a", b"content")


def test_wrong_recipient(path: Path, identity: Any) -> None:
    """A recipient that age doesn't know is refused before anything is written."""
    with pytest.raises(KeystoreError) as caught:
        file.update(path, [identity], lambda keystore: keystore.changed(recipients=("canary",)))
    assert str(caught.value) == f"keystore {path}: a recipient is not an age X25519 recipient"
    assert caught.value.__context__ is None


def test_missing_folder(tmp_path: Path, stored: Keystore) -> None:
    """Where the lock can't be taken nothing is written."""
    path = tmp_path / "none" / "keystore.age"
    with pytest.raises(KeystoreError) as caught:
        file.create(path, stored)
    assert str(caught.value) == (
        f"keystore {path}: its lock cannot be taken: No such file or directory"
    )
    assert caught.value.__context__ is None


def test_everything_is_flushed_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content first, then the name, then the folder: a crash at any point leaves a whole file."""
    steps: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        mode = os.fstat(descriptor).st_mode
        steps.append("folder" if stat.S_ISDIR(mode) else f"content {os.fstat(descriptor).st_size}")
        real_fsync(descriptor)

    def replace(source: str, target: Path) -> None:
        steps.append("rename")
        assert Path(source).parent == target.parent
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    file.write_private(tmp_path / "a", b"content")
    assert steps == ["content 7", "rename", "folder"]
    assert (tmp_path / "a").read_bytes() == b"content"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


# --- several processes ---------------------------------------------------------------------------


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that runs a short program of this project."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(file.__file__).parents[2],
    )


def test_two_writers_lose_nothing(path: Path, identity_path: Path, identity: Any) -> None:
    """Two processes that change the keystore at once both keep all their changes."""
    writers = [start(ADD_KEYS, path, identity_path, 10, tenant) for tenant in ("one", "two")]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    tenants = [key.tenant for key in file.load(path, [identity]).api_keys]
    assert (tenants.count("one"), tenants.count("two")) == (10, 10)


def test_crash_before_the_rename(
    path: Path, identity_path: Path, identity: Any, stored: Keystore
) -> None:
    """A writer that dies before the rename leaves the old keystore and a free lock."""
    writer = start(CRASH, path, identity_path)
    writer.communicate(timeout=60)
    assert writer.returncode == 9
    assert [p for p in path.parent.iterdir() if p.name.startswith(".keystore.age.")]
    assert file.load(path, [identity]) == stored
    assert file.update(path, [identity], lambda keystore: keystore) == stored
