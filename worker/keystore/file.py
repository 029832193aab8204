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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    raw = _read(path, "keystore")
    if not raw:
        raise KeystoreError(f"keystore {path}: the file is empty")
    opened: bytes | None = None
    try:
        opened = pyrage.decrypt(raw, identities)
    except pyrage.DecryptError:
        pass
    if opened is None:
        raise KeystoreError(
            f"keystore {path}: does not open with this identity, or the file is damaged"
        )
    problem: str
    try:
        return document.decode(opened)
    except KeystoreError as error:
        problem = str(error)
    raise KeystoreError(f"keystore {path}: {problem}")


def create(path: Path, keystore: Keystore) -> None:
    """Write a new keystore file.

    Raises:
        KeystoreError: there is a file already, or it can't be written.
    """
    with _locked(path):
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
    with _locked(path):
        changed = upkeep.keep_up(change(load(path, identities)), now_s(), random_bytes)
        _write(path, changed)
        return changed


def write_private(path: Path, content: bytes) -> None:
    """Replace a file by one that only its owner can read: temporary file, fsync, rename, fsync.

    Raises:
        OSError: it can't be written; the old file is untouched.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        os.fchmod(descriptor, _PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _write(path: Path, keystore: Keystore) -> None:
    problem = ""
    try:
        recipients = [pyrage.x25519.Recipient.from_str(text) for text in keystore.recipients]
        raw = pyrage.encrypt(document.encode(keystore), recipients)
        if len(raw) > MAX_FILE_BYTES:
            problem = f"would be over {MAX_FILE_BYTES} bytes"
        else:
            write_private(path, raw)
    except pyrage.RecipientError:
        problem = "a recipient is not an age X25519 recipient"
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
    if problem:
        raise KeystoreError(f"keystore {path}: {problem}")


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
def _locked(path: Path) -> Iterator[None]:
    lock = path.with_name(path.name + ".lock")
    problem = ""
    descriptor = -1
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    except OSError as error:
        problem = f"its lock cannot be taken: {error.strerror}"
    if problem:
        raise KeystoreError(f"keystore {path}: {problem}")
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
