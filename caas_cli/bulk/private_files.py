"""Files of a run: private to their owner, written without buffers, their problems in one line.

Nothing is held back in a buffer, so that what a file's length says is what was written, and an
error of a full disk comes where the write is.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from caas_cli.exit_codes import CommandError, ExitCode

PRIVATE_FILE: Final = 0o600
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def plain_problems(what: str) -> Iterator[None]:
    """Turn an operating system's error into one line that names a file's part in the run.

    Raises:
        CommandError: in its place; "try again later" for a full disk, since room can be made.
    """
    problem, code = "", ExitCode.CONFIGURATION
    try:
        yield
    except OSError as error:
        problem = error.strerror or type(error).__name__
        if error.errno in _FULL:
            code = ExitCode.TEMPORARY
    if problem:
        raise CommandError(f"{what}: {problem}", code)


class PrivateFile:
    """A file that bytes are added to.

    Args:
        what: its part in the run, for error messages.
        is_new: make it; there must be none.

    Raises:
        CommandError: it can't be opened or written.
    """

    def __init__(self, path: Path, what: str, *, is_new: bool) -> None:
        self.path = path
        self._what = what
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        if is_new:
            flags |= os.O_CREAT | os.O_EXCL
        with plain_problems(what):
            self._descriptor = os.open(path, flags, PRIVATE_FILE)
            self.size_bytes = os.lseek(self._descriptor, 0, os.SEEK_END)

    def cut(self, size_bytes: int) -> None:
        """Drop all that stands behind `size_bytes`.

        Raises:
            CommandError: the file is shorter than that, so it is not the one that was written.
        """
        if size_bytes > self.size_bytes:
            raise CommandError(
                f"{self._what}: is shorter than the journal says; --force starts over",
                ExitCode.CONFIGURATION,
            )
        with plain_problems(self._what):
            os.ftruncate(self._descriptor, size_bytes)
            os.lseek(self._descriptor, size_bytes, os.SEEK_SET)
        self.size_bytes = size_bytes

    def write(self, data: bytes) -> None:
        """Add bytes."""
        left = memoryview(data)
        with plain_problems(self._what):
            while left:
                left = left[os.write(self._descriptor, left) :]
        self.size_bytes += len(data)

    def read_all(self, most_bytes: int) -> bytes:
        """The content, at most `most_bytes` of it."""
        with plain_problems(self._what):
            return os.pread(self._descriptor, min(self.size_bytes, most_bytes), 0)

    def sync(self) -> None:
        """Return when what was written would outlive a power cut."""
        with plain_problems(self._what):
            os.fdatasync(self._descriptor)

    def lock(self) -> None:
        """Keep other runs away until this process ends, however it ends.

        Raises:
            CommandError: another run holds it.
        """
        problem = ""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            problem = "another run is working on it"
        if problem:
            raise CommandError(f"{self._what}: {problem}", ExitCode.UNAVAILABLE)

    def close(self) -> None:
        """Close it; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def sync_folder(folder: Path) -> None:
    """Make sure that new and renamed files of a folder outlive a power cut."""
    with plain_problems("the output's folder"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
