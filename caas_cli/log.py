"""One readable log of several processes: a line starts with the name of the part that wrote it."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Final, TextIO

CHUNK_BYTES: Final = 64 * 1024
MAX_LINE_BYTES: Final = 64 * 1024
"""A longer line is shown in pieces, so that no child can fill the memory."""

_COLOURS: Final = ("36", "32", "33", "35", "34")
# What a terminal would act on, but for the tab.
_CONTROL: Final = dict.fromkeys((*range(9), *range(10, 32), *range(127, 160)))


class Log:
    """Writes lines with an aligned prefix, in colour on a terminal.

    Args:
        names: the parts that will write, for the width and the colours.
        stream: where to; standard error when None.
    """

    def __init__(self, names: list[str], stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._width = max(map(len, names))
        self._colours = dict(zip(names, _COLOURS * len(names), strict=False))
        self._in_colour = self._stream.isatty() and not os.environ.get("NO_COLOR")

    def line(self, name: str, text: str) -> None:
        """Write one line of a part, unless it is blank."""
        shown = text.translate(_CONTROL).rstrip()
        if not shown:
            return
        prefix = f"{name:<{self._width}} |"
        if self._in_colour:
            prefix = f"\x1b[{self._colours.get(name, '0')}m{prefix}\x1b[0m"
        self._stream.write(f"{prefix} {shown}\n")
        self._stream.flush()

    async def copy(self, name: str, pipe: asyncio.StreamReader, hidden: str = "") -> None:
        """Write a part's output until it ends, without the lines that hold `hidden`."""
        rest = b""
        while chunk := await pipe.read(CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > MAX_LINE_BYTES:
                lines.append(rest)
                rest = b""
            self._lines(name, lines, hidden)
        self._lines(name, [rest], hidden)

    def _lines(self, name: str, lines: list[bytes], hidden: str) -> None:
        for line in lines:
            text = line.decode(errors="replace")
            if not hidden or hidden not in text:
                self.line(name, text)
