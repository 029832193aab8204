"""The chain of an audit log: each line sealed to the one before, and how that is checked.

A line is a JSON object whose last field, `mac`, is keyed BLAKE2b (RFC 7693), 32 bytes in hex, over
the line before's MAC and this line's bytes up to that field. A line that was removed, changed or
moved breaks the chain there; what is missing at the end shows by the line that must stand last:

| event        | stands                                                                     |
|--------------|----------------------------------------------------------------------------|
| `start`      | first in the first file of a process                                       |
| `continue`   | first in each further file; `after` is the MAC that it goes on from        |
| `request`    | once a request                                                             |
| `gap`        | after a time in which lines could not be written: how many                 |
| `unreadable` | before the next request: how many messages could not be opened since       |
| `rotate`     | last in a file that another one follows                                    |
| `stop`       | last in a process's last file                                              |
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from pydantic_core import to_json

from worker.user_names import derive_key

START: Final = bytes(32)
"""What a process's first line is sealed to."""

FIRST_EVENTS: Final = ("start", "continue")
ROTATE: Final = "rotate"
LAST_EVENTS: Final = (ROTATE, "stop")

MAX_LINE_BYTES: Final = 1 << 20
"""Longer than any line that a worker writes: a thousand users take some 36 KiB."""

_LINE: Final = re.compile(rb'(\{.*),"mac":"([0-9a-f]{64})"\}\n', re.DOTALL)


def chain_key(audit_key: bytes) -> bytes:
    """The key that a keystore's audit logs are chained with."""
    return derive_key(audit_key, "audit-chain")


class Sealer:
    """Seals lines under one key.

    Args:
        key: see `chain_key`.
    """

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(digest_size=len(START), key=key)

    def mac(self, before: bytes, body: bytes) -> bytes:
        """The MAC of a line, given that of the line before; `START` for none."""
        state = self._keyed.copy()
        state.update(before)
        state.update(body)
        return state.digest()

    def line(self, before: bytes, fields: dict[str, Any]) -> tuple[bytes, bytes]:
        """A line with its newline, and its MAC."""
        body = to_json(fields)[:-1]
        mac = self.mac(before, body)
        return b'%b,"mac":"%b"}\n' % (body, mac.hex().encode()), mac


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in one file.

    Attributes:
        lines: how many lines are right, from the first.
        fault: what is wrong with the line after them; None when all are right.
        is_closed: whether the last line says that it is the last.
        chain: which process's log it is; None when the first line is not right.
        number: which file of that log, from 1.
        mac: of the last line that is right.
        is_followed: whether the last line says that another file follows.
    """

    lines: int
    fault: str | None
    is_closed: bool = False
    chain: str | None = None
    number: int = 0
    mac: bytes = START
    is_followed: bool = False


class _Reader:
    """Checks one file's lines in order."""

    def __init__(self, key: bytes, before: Verdict | None) -> None:
        self._sealer = Sealer(key)
        self._before = before
        self.lines = 0
        self.chain: str | None = None
        self.number = 0
        self.mac = START
        self.event = ""
        self._seq: int | None = None

    def read(self, line: bytes) -> str | None:
        """Why a line is wrong, or None."""
        parts = _LINE.fullmatch(line) if len(line) <= MAX_LINE_BYTES else None
        if parts is None:
            return "is not a line of an audit log" if line.endswith(b"\n") else "is cut off"
        body, mac = parts[1], bytes.fromhex(parts[2].decode())
        # Only the first line must be parsed to know what it is sealed to; no other is before its
        # MAC says that a worker wrote it.
        first = None if self.lines else _object(body + b"}")
        if first is None and not self.lines:
            return "is not a line of an audit log"
        before = self.mac if first is None else _sealed_to(first)
        if before is None:
            return "is not how a file begins: lines before it are missing"
        if not hmac.compare_digest(self._sealer.mac(before, body), mac):
            return "was changed, or lines before it were removed, added or moved"
        fields = _object(body + b"}") if first is None else first
        return "is not a line of an audit log" if fields is None else self._accept(fields, mac)

    def _accept(self, fields: dict[str, Any], mac: bytes) -> str | None:
        # From here on a worker wrote the line: what is wrong is its place.
        event, seq = fields["event"], fields["seq"]
        if self.lines == 0:
            self.chain, self.number = fields["chain"], fields["file"]
            if not self._follows(fields):
                return "does not go on from the end of the file before"
        elif event in FIRST_EVENTS or self.event in LAST_EVENTS or seq != (self._seq or 0) + 1:
            return "does not follow the line before"
        self.event, self._seq, self.mac = event, seq, mac
        self.lines += 1
        return None

    def _follows(self, fields: dict[str, Any]) -> bool:
        before = self._before
        if before is None or before.chain != self.chain:
            # What the file says of the one before can't be compared; that one is missing unless
            # this is the first, which `Verdict.number` tells.
            return True
        return bool(fields.get("after") == before.mac.hex() and self.number == before.number + 1)


def verify(key: bytes, lines: Iterable[bytes], before: Verdict | None = None) -> Verdict:
    """Check one file, up to its first wrong line.

    Args:
        key: see `chain_key`.
        lines: with their newlines.
        before: of the file that came before; when it is of the same process this one must go on
            from it. Without it a later file is checked from where it says, and its number tells
            that others are missing.
    """
    reader = _Reader(key, before)
    for line in lines:
        fault = reader.read(line)
        if fault is not None:
            return Verdict(reader.lines, fault, False, reader.chain, reader.number, reader.mac)
    if not reader.lines:
        return Verdict(0, "is missing: the file is empty")
    is_closed = reader.event in LAST_EVENTS
    is_followed = reader.event == ROTATE
    return Verdict(
        reader.lines, None, is_closed, reader.chain, reader.number, reader.mac, is_followed
    )


def _sealed_to(fields: dict[str, Any]) -> bytes | None:
    if fields.get("event") not in FIRST_EVENTS:
        return None
    after = fields.get("after", START.hex())
    is_mac = isinstance(after, str) and re.fullmatch("[0-9a-f]{64}", after)
    return bytes.fromhex(after) if is_mac else None


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):  # nested too deep: nothing that a worker writes
        return None
    return fields if isinstance(fields, dict) else None
