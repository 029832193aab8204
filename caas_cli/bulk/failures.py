"""The file of failures: of each row that failed its number, its key and its code, and no value."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from caas_cli.bulk.private_files import PrivateFile
from caas_cli.exit_codes import UsageError

HEADER: Final = ("row", "key", "code")
_HEAD: Final = (",".join(HEADER) + "\n").encode()
_WHAT: Final = "the file of failures"


class FailureFile:
    """A CSV file that is made when the first row fails.

    Args:
        path: where.
        size_bytes: how much of it a checkpoint has made sure of; 0 for a new run.

    Raises:
        UsageError: the file that is there is none of failures, so it is left as it is.
        CommandError: it can't be used, or is shorter than `size_bytes`.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._file: PrivateFile | None = None
        if size_bytes or path.exists():
            self._file = PrivateFile(path, _WHAT, is_new=False)
            try:
                self._refuse_another()
                self._file.cut(size_bytes)
            except BaseException:
                self._file.close()
                raise

    def _refuse_another(self) -> None:
        head = b"" if self._file is None else self._file.read_all(len(_HEAD))
        if not _HEAD.startswith(head):  # a run that was killed may have left a part of it
            raise UsageError("--failures names a file that holds something else")

    @property
    def size_bytes(self) -> int:
        """Its length."""
        return 0 if self._file is None else self._file.size_bytes

    def add(self, failures: Iterable[tuple[int, object, str]]) -> None:
        """Write some failures."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if self._file is None:
            self._file = PrivateFile(self._path, _WHAT, is_new=True)
        if not self._file.size_bytes:
            writer.writerow(HEADER)
        writer.writerows(failures)
        self._file.write(text.getvalue().encode(errors="backslashreplace"))

    def sync(self) -> None:
        """Make sure of what was written."""
        if self._file is not None:
            self._file.sync()

    def close(self) -> None:
        """Close it; one without a failure goes away."""
        if self._file is not None:
            self._file.close()
            if not self._file.size_bytes:
                self._path.unlink(missing_ok=True)
