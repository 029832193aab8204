"""An output that bytes are added to, whose length is its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from caas_cli.bulk.private_files import PrivateFile

_WHAT: Final = "the output"


class LineOutput:
    """The unfinished output of a CSV or JSON lines run.

    Args:
        path: where.
        header: what a new one begins with.
        size_bytes: how much of it a checkpoint has made sure of; 0 for a new run.

    Raises:
        CommandError: it can't be used, or is shorter than `size_bytes`.
    """

    def __init__(self, path: Path, header: bytes, size_bytes: int) -> None:
        self._file = PrivateFile(path, _WHAT, is_new=not path.exists())
        try:
            self._file.cut(size_bytes)
            if not size_bytes:
                self._file.write(header)
        except BaseException:
            self.close()
            raise

    def write(self, encoded: bytes) -> None:
        """Add rows."""
        self._file.write(encoded)

    def sync(self) -> int:
        """Make sure of all rows so far; the length in bytes."""
        self._file.sync()
        return self._file.size_bytes

    def finish(self) -> None:
        """Nothing is left to do once it is sure."""

    def close(self) -> None:
        """Close it."""
        self._file.close()
