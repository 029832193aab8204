"""The audit log: a line a request, written before its reply leaves (docs/audit.md).

Each worker process has files of its own in one folder, opened to append, a line in one write. When
a line can't be written the request is answered with `unavailable`, unless the settings say that
the log is not required; the next line that can be written says how many are missing.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from caas_tasks.errors import ServiceUnavailableError, UnreadableMessageError
from worker.audit_chain import START, Sealer
from worker.outcome import Outcome

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
MIXED: Final = "mixed"
"""The outcome of a request whose items ended differently."""

_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}\Z")
logger = logging.getLogger(__name__)


class AuditLog:
    """One process's audit log; an observer of the service.

    Args:
        folder: where the files go; made when it is missing.
        key: see `worker.audit_chain.chain_key`.
        worker: this process's name in every line.
        now_ms: Unix time in milliseconds.
        random_bytes: names the process's chain.
        max_bytes: about how large a file gets.
        is_required: whether a request whose line can't be written is refused.

    Raises:
        OSError: the folder or the first file can't be written, and the log is required.
    """

    def __init__(
        self,
        folder: Path,
        key: bytes,
        worker: str,
        *,
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        max_bytes: int,
        is_required: bool = True,
    ) -> None:
        self._folder = folder
        self._sealer = Sealer(key)
        self._worker = worker
        self._now_ms = now_ms
        self._max_bytes = max_bytes
        self._is_required = is_required
        self._chain = random_bytes(8).hex()
        self._name = f"audit-{_compact(now_ms())}-{self._chain}"
        self._lock = threading.Lock()
        self._file = -1
        self._size = 0
        self._number = 0
        self._seq = 0
        self._mac = START
        self._unwritten = 0
        self._unreadable = 0
        try:
            self._open_next()
        except OSError as error:
            if is_required:
                raise
            self._say_lost(error)

    @property
    def path(self) -> Path:
        """The file that is written to now."""
        return self._folder / f"{self._name}.{self._number:06}.jsonl"

    def observe(self, outcome: Outcome) -> None:
        """Write a request's line.

        Raises:
            ServiceUnavailableError: it can't be written, and the log is required.
        """
        if outcome.refusal == UnreadableMessageError.code:
            # Counted only: whoever reaches the broker can send them, and would fill the disk.
            with self._lock:
                self._unreadable += 1
            return
        fields = _fields(outcome)
        with self._lock:
            is_written = self._try_write(fields, outcome.at_ms)
        if not is_written and self._is_required:
            raise ServiceUnavailableError

    def close(self) -> None:
        """Write the last line; nothing may be observed afterwards."""
        with self._lock:
            if self._file < 0:
                return
            try:
                self._append_counts(self._now_ms())
                self._append("stop", self._now_ms(), {})
            except OSError as error:
                self._say_lost(error)
            os.close(self._file)
            self._file = -1

    def _try_write(self, fields: dict[str, Any], at_ms: int) -> bool:
        try:
            if self._file < 0:
                self._open_next()
            elif self._size >= self._max_bytes:
                self._rotate()
            self._append_counts(at_ms)
            self._append("request", at_ms, fields)
        except OSError as error:
            self._say_lost(error)
            self._unwritten += 1
            return False
        return True

    def _append_counts(self, at_ms: int) -> None:
        if self._unwritten:
            self._append("gap", at_ms, {"unwritten": self._unwritten})
            logger.warning("audit log: written again, %d lines are missing", self._unwritten)
            self._unwritten = 0
        if self._unreadable:
            self._append("unreadable", at_ms, {"messages": self._unreadable})
            self._unreadable = 0

    def _say_lost(self, error: OSError) -> None:
        if not self._unwritten:
            logger.error("audit log: a line cannot be written: %s", error.strerror)

    def _rotate(self) -> None:
        self._append("rotate", self._now_ms(), {})
        os.close(self._file)
        self._file = -1
        self._open_next()

    def _open_next(self) -> None:
        """Begin the next file; where it can't be begun there is none, and the next line tries."""
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._number += 1
        try:
            self._file, self._size = os.open(self.path, flags, FILE_MODE), 0
            about = {"chain": self._chain, "file": self._number}
            if self._seq == 0:
                self._append("start", self._now_ms(), about)
            else:
                self._append("continue", self._now_ms(), {**about, "after": self._mac.hex()})
        except OSError:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
                self.path.unlink(missing_ok=True)
            self._number -= 1
            raise

    def _append(self, event: str, at_ms: int, fields: dict[str, Any]) -> None:
        seq = self._seq + 1
        head = {"seq": seq, "time": _time(at_ms), "event": event, "worker": self._worker}
        line, mac = self._sealer.line(self._mac, {**head, **fields})
        self._write(line)
        self._seq, self._mac = seq, mac
        self._size += len(line)

    def _write(self, line: bytes) -> None:
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            if written:
                self._take_back()
            raise

    def _take_back(self) -> None:
        """Cut off a line that was written in part; where that fails go on in another file."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            os.close(self._file)
            self._file = -1


def _fields(outcome: Outcome) -> dict[str, Any]:
    is_id = _ID.match(outcome.message_id) is not None
    return {
        "message": outcome.message_id if is_id else None,
        "tenant": outcome.tenant,
        "operation": outcome.operation.value,
        "api_key": outcome.api_key_id,
        "key_version": outcome.key_version,
        "items": outcome.items,
        "outcome": outcome.refusal
        or (next(iter(outcome.codes)) if len(outcome.codes) == 1 else MIXED),
        "codes": outcome.codes,
        "duration_ms": round(outcome.duration_s * 1_000, 3),
        "users": outcome.users,
    }


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    # Most lines share their second with the line before, and formatting one is dear.
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"


def _time(at_ms: int) -> str:
    """RFC 3339, in UTC, to the millisecond."""
    return f"{_second(at_ms // 1_000)}.{at_ms % 1_000:03}Z"


def _compact(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y%m%dT%H%M%SZ}"
