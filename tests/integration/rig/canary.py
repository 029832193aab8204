"""Markers that must not show, and the search for them through every layer of encoding."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import redis

MAX_LAYERS: Final = 5
_BASE64_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]{24,}")
_HEX_RUN: Final = re.compile(rb"(?:[0-9a-fA-F]{2}){16,}")


def _marker() -> str:
    return "canary" + secrets.token_hex(12)


@dataclass(frozen=True)
class Markers:
    """Unique values, one for each place that an input can stand in."""

    data: str = field(default_factory=_marker)
    value: str = field(default_factory=_marker)
    field_name: str = field(default_factory=_marker)
    digest: str = field(default_factory=_marker)
    reference: str = field(default_factory=_marker)
    password: str = field(default_factory=_marker)
    plaintext: str = field(default_factory=_marker)
    context: str = field(default_factory=_marker)
    malformed_key: str = field(default_factory=_marker)
    user_uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def needles(self, *api_keys: str) -> dict[str, list[bytes]]:
        """What to look for, by the marker's name."""
        texts = {**self.__dict__, **{f"api_key_{i}": key[-49:] for i, key in enumerate(api_keys)}}
        found = {name: _forms(text.encode()) for name, text in texts.items()}
        found["user_uuid"] += _forms(uuid.UUID(self.user_uuid).bytes)
        found["user_uuid"] += _forms(self.user_uuid.replace("-", "").encode())
        return found


def _forms(raw: bytes) -> list[bytes]:
    """A value as it is, as UTF-16, in hex, and in base64 at each of the three alignments."""
    forms = [raw, raw.hex().encode(), raw.hex().upper().encode()]
    if raw.isascii():
        forms.append(raw.decode().encode("utf-16-le"))
    for shift in range(3):
        # The characters at both ends depend on the neighbours; those between do not.
        encoded = base64.b64encode(bytes(shift) + raw)[4 if shift else 0 : -4]
        forms += [encoded, encoded.translate(bytes.maketrans(b"+/", b"-_"))]
    return forms


def layers(blob: bytes, depth: int = MAX_LAYERS) -> Iterator[bytes]:
    """The blob, and what its runs of base64 and hex decode to, and so on."""
    yield blob
    if depth == 0:
        return
    for run in _BASE64_RUN.findall(blob):
        text = run.translate(bytes.maketrans(b"-_", b"+/"))
        for start in range(4):
            part = text[start:]
            try:
                decoded = binascii.a2b_base64(part[: len(part) // 4 * 4])
            except binascii.Error:
                continue
            yield from layers(decoded, depth - 1)
    for run in _HEX_RUN.findall(blob):
        yield from layers(bytes.fromhex(run.decode()), depth - 1)


def search(evidence: Mapping[str, bytes], needles: Mapping[str, list[bytes]]) -> set[str]:
    """Which marker was found where, as `marker in place`."""
    return {
        f"{name} in {place}"
        for place, blob in evidence.items()
        for layer in layers(blob)
        for name, forms in needles.items()
        if any(form in layer for form in forms)
    }


def dump(server: redis.Redis) -> bytes:
    """Every key with its type and value."""
    readers = {
        b"string": lambda key: [server.get(key)],
        b"list": lambda key: server.lrange(key, 0, -1),
        b"hash": lambda key: [part for pair in server.hgetall(key).items() for part in pair],
        b"set": server.smembers,
        b"zset": lambda key: server.zrange(key, 0, -1),
    }
    parts: list[bytes] = []
    for key in server.keys("*"):
        parts += [key, *readers[server.type(key)](key)]
    return b"\n".join(parts)


class Monitor:
    """Notes each command that a server gets, until `stop`."""

    def __init__(self, server: redis.Redis) -> None:
        self._server = server
        self._seen: list[str] = []
        self._end = secrets.token_hex(16)
        started = threading.Event()
        self._thread = threading.Thread(target=self._listen, args=(started,), daemon=True)
        self._thread.start()
        started.wait()

    def _listen(self, started: threading.Event) -> None:
        with self._server.monitor() as monitor:
            started.set()
            for command in monitor.listen():
                self._seen.append(command["command"])
                if self._end in command["command"]:
                    return

    def stop(self) -> bytes:
        """All the commands."""
        self._server.echo(self._end)
        self._thread.join(60)
        return "\n".join(self._seen).encode()
