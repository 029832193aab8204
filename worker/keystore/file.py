"""The keystore on disk: an ordinary age file, written whole (docs/spec.md, section 8).

`age -d -i identity.txt keystore.age` opens it too. Writers take a lock beside the file, write a
temporary file, flush it and rename it, so a reader sees the old or the new keystore and two writers
can't lose each other's change.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pyrage

from worker.keystore import document, upkeep
from worker.keystore.document import Keystore
from worker.keystore.errors import KeystoreError

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
"""Largest keystore file that is read; tens of thousands of API keys fit."""

_PRIVATE: Final = 0o600
Identities = list[pyrage.x25519.Identity]


def load_identities(path: Path) -> Identities:
    """The age identities of a file as `age-keygen` writes it: one a line, `#` comments.

    Raises:
        KeystoreError: the file can't be read or holds no X25519 identity.
    """
    text = _read(path, "identity file").decode("ascii", errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    identities: Identities = []
    for line in lines:
        if line and not line.startswith("#"):
            try:
                identities.append(pyrage.x25519.Identity.from_str(line))
            except pyrage.IdentityError:
                identities.clear()
                break
    if not identities:
        raise KeystoreError(f"identity file {path}: holds no age identity")
    return identities


def load(path: Path, identities: Identities) -> Keystore:
    """Open a keystore file.

    Raises:
        KeystoreError: missing, empty, too large, for another identity, damaged or not a keystore.
    """
    opened = open_age(path, identities, "keystore")
    problem: str
    try:
        return document.decode(opened)
    except KeystoreError as error:
        problem = str(error)
    raise KeystoreError(f"keystore {path}: {problem}")


def open_age(path: Path, identities: Identities, what: str) -> bytes:
    """The content of an age file.

    Args:
        what: what the file should be, for the error.

    Raises:
        KeystoreError: missing, empty, too large, for another identity or damaged.
    """
    raw = _read(path, what)
    if not raw:
        raise KeystoreError(f"{what} {path}: the file is empty")
    opened: bytes | None = None
    try:
        opened = pyrage.decrypt(raw, identities)
    except pyrage.DecryptError:
        pass
    if opened is None:
        raise KeystoreError(
            f"{what} {path}: does not open with this identity, or the file is damaged"
        )
    return opened


def write_age(path: Path, content: bytes, recipients: Sequence[str], what: str) -> None:
    """Replace a file by an age file to X25519 recipients, as `write_private` does.

    Args:
        what: what the file is, for the error.

    Raises:
        KeystoreError: a malformed recipient, or the file can't be written or would be too large.
    """
    problem = ""
    try:
        parsed = [pyrage.x25519.Recipient.from_str(text) for text in recipients]
        raw = pyrage.encrypt(content, parsed)
        if len(raw) > MAX_FILE_BYTES:
            problem = f"would be over {MAX_FILE_BYTES} bytes"
        else:
            write_private(path, raw)
    except pyrage.RecipientError:
        problem = "a recipient is not an age X25519 recipient"
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
    if problem:
        raise KeystoreError(f"{what} {path}: {problem}")


def is_recipient(text: str) -> bool:
    """Whether a text is an age X25519 recipient."""
    try:
        pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        return False
    return True


def create(path: Path, keystore: Keystore) -> None:
    """Write a new keystore file.

    Raises:
        KeystoreError: there is a file already, or it can't be written.
    """
    with locked(path):
        if path.exists():
            raise KeystoreError(f"keystore {path}: exists already")
        _write(path, keystore)


def update(
    path: Path,
    identities: Identities,
    change: Callable[[Keystore], Keystore],
    *,
    now_s: Callable[[], float] = time.time,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> Keystore:
    """Read, change, keep up (`upkeep.keep_up`) and write under the lock; the written keystore.

    Args:
        now_s: Unix time in seconds.

    Raises:
        KeystoreError: as `load`, what `change` raises, or the file would be too large to be read.
    """
    with locked(path):
        changed = upkeep.keep_up(change(load(path, identities)), now_s(), random_bytes)
        _write(path, changed)
        return changed


def preview(
    path: Path,
    identities: Identities,
    change: Callable[[Keystore], Keystore],
    *,
    now_s: Callable[[], float] = time.time,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> Keystore:
    """What `update` would write, written nowhere.

    Raises:
        KeystoreError: as `load`, or what `change` raises.
    """
    return upkeep.keep_up(change(load(path, identities)), now_s(), random_bytes)


def write_private(path: Path, content: bytes, *, like: Path | None = None) -> None:
    """Replace a file by one that only its owner can read: temporary file, fsync, rename, fsync.

    The owner stays who he was, where this process may say so: containers run as another user than
    the operator, and would not see a change that root made.

    Args:
        like: a file whose owner a new one is given; None leaves it to who runs this.

    Raises:
        OSError: it can't be written; the old file is untouched.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        os.fchmod(descriptor, _PRIVATE)
        _give_to_owner_of(path if path.exists() else like, descriptor)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _give_to_owner_of(model: Path | None, descriptor: int) -> None:
    if model is None:
        return
    with suppress(FileNotFoundError, PermissionError):
        status = model.stat()
        if status.st_uid != os.geteuid():
            os.fchown(descriptor, status.st_uid, status.st_gid)


def _write(path: Path, keystore: Keystore) -> None:
    write_age(path, document.encode(keystore), keystore.recipients, "keystore")


def _read(path: Path, what: str) -> bytes:
    problem: str
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        problem = "not found"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    else:
        if len(raw) <= MAX_FILE_BYTES:
            return raw
        problem = f"is over {MAX_FILE_BYTES} bytes"
    raise KeystoreError(f"{what} {path}: {problem}")


@contextmanager
def locked(path: Path, what: str = "keystore") -> Iterator[None]:
    """Hold `<path>.lock`; waits for who holds it, and the kernel frees it when a process ends.

    Args:
        what: what the file is, for the error.

    Raises:
        KeystoreError: the lock file can't be made.
    """
    lock = path.with_name(path.name + ".lock")
    problem = ""
    descriptor = -1
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    except OSError as error:
        problem = f"its lock cannot be taken: {error.strerror}"
    if problem:
        raise KeystoreError(f"{what} {path}: {problem}")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
