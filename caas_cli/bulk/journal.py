"""How far a run over a file is sure: a line for each checkpoint, the last whole line counts.

The first line says which run this is. It holds the input's size and time, and two hashes, of the
input's beginning and of the options, keyed with the API key: without the key nobody can test a
guess about a small input with them. So a run is resumed with the API key that it began with, which
also keeps two tenants' values out of one output.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from caas_cli.bulk.private_files import PrivateFile
from caas_cli.exit_codes import CommandError, ExitCode

FORMAT_VERSION: Final = 1
HEAD_BYTES: Final = 64 * 1024
"""How much of the input's beginning is compared."""

MAX_JOURNAL_BYTES: Final = 64 * 1024 * 1024
_WHAT: Final = "the journal"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is sure.

    Attributes:
        rows: input rows that are done, those that failed included.
        failed: those that failed.
        output: bytes of the output, or its number of parts where it is written in parts.
        failures: bytes of the file of failures.
        done: the output is whole; only its name is missing.
    """

    rows: int = 0
    failed: int = 0
    output: int = 0
    failures: int = 0
    done: bool = False


def identity(
    input_path: Path, options: Mapping[str, Any], operation: str, api_key: str
) -> dict[str, Any]:
    """Which run this is, as the journal's first line."""
    with input_path.open("rb") as file:
        status = os.fstat(file.fileno())
        head = file.read(HEAD_BYTES)
    return {
        "caas_bulk": FORMAT_VERSION,
        "operation": operation,
        "input_bytes": status.st_size,
        "input_mtime_ns": status.st_mtime_ns,
        "input_head": keyed_hash(api_key, b"input", head),
        "options": keyed_hash(api_key, b"options", json.dumps(options, sort_keys=True).encode()),
    }


def keyed_hash(api_key: str, purpose: bytes, content: bytes) -> str:
    """A hash that says nothing to those who don't have the API key."""
    message = b"caas/bulk/" + purpose + b"\0" + content
    return hmac.digest(api_key.encode(), message, hashlib.sha256).hex()


_DIFFERENCES: Final = {
    "caas_bulk": "was written by another version of this program",
    "operation": "is of another operation",
    "input_bytes": "is of another input, or the input has changed",
    "input_mtime_ns": "is of another input, or the input has changed",
    "input_head": "is of another input or was begun with another API key",
    "options": "was begun with other options",
}


class Journal:
    """The journal of one run, locked while it is open.

    Args:
        path: where.
        run: what `identity` returned.
        is_new: there is none yet.
        starts_over: forget the one that is there; otherwise it must be of this run.

    Attributes:
        begun: the first line: of this run, or of the one that it goes on with.
        last: the last checkpoint that is sure.

    Raises:
        CommandError: it can't be opened, is another run's, or is in use.
    """

    def __init__(
        self, path: Path, run: Mapping[str, Any], *, is_new: bool, starts_over: bool = False
    ) -> None:
        self._file = PrivateFile(path, _WHAT, is_new=is_new)
        self.begun = run
        self.last = Checkpoint()
        try:
            self._file.lock()
            if is_new or starts_over or not self._recover(run):
                self._file.cut(0)
                self._add(run)
        except BaseException:
            self._file.close()
            raise

    def _recover(self, run: Mapping[str, Any]) -> bool:
        """Take up where the last whole line stands; False when there is not even a first one."""
        content = self._file.read_all(MAX_JOURNAL_BYTES)
        # A line that was being written when the run was killed has no end.
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.splitlines()
        if not lines:
            return False
        begun = _parse(lines[0])
        for name, problem in _DIFFERENCES.items():
            if begun.get(name) != run.get(name):
                raise CommandError(f"{_WHAT} {problem}; --force starts over", ExitCode.USAGE)
        self.begun = begun
        if len(lines) > 1:
            self.last = _checkpoint(_parse(lines[-1]))
        self._file.cut(len(whole))
        return True

    def add(self, checkpoint: Checkpoint) -> None:
        """Note a checkpoint; what it says is already sure."""
        self._add(asdict(checkpoint))
        self.last = checkpoint

    def _add(self, line: Mapping[str, Any]) -> None:
        size_bytes = self._file.size_bytes
        try:
            self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            self._file.sync()
        except CommandError:
            # Of a full disk: half a line would make the next one unreadable.
            self._file.cut(size_bytes)
            raise

    def close(self) -> None:
        """Close it."""
        self._file.close()


def _parse(line: bytes) -> dict[str, Any]:
    value: object = None
    try:
        value = json.loads(line)
    except ValueError:
        pass
    return value if isinstance(value, dict) else {}


def _checkpoint(line: dict[str, Any]) -> Checkpoint:
    checkpoint: Checkpoint | None = None
    try:
        checkpoint = Checkpoint(**line)
    except TypeError:
        pass
    if checkpoint is None:
        raise CommandError(f"{_WHAT} is damaged; --force starts over", ExitCode.CONFIGURATION)
    return checkpoint
