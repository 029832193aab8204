"""The log of several processes: one line a line, named, without what a terminal would act on."""

from __future__ import annotations

import asyncio
import io

import pytest

from caas_cli.log import MAX_LINE_BYTES, Log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def copied(*chunks: bytes, hidden: str = "") -> list[str]:
    """The lines that a child's output becomes."""
    stream = io.StringIO()

    async def copy() -> None:
        reader = asyncio.StreamReader()
        for chunk in chunks:
            reader.feed_data(chunk)
        reader.feed_eof()
        await Log(["ab"], stream).copy("ab", reader, hidden)

    asyncio.run(copy())
    return stream.getvalue().splitlines()


def test_prefixes_are_aligned() -> None:
    """The text of all parts starts in one column."""
    stream = io.StringIO()
    log = Log(["caas", "worker-1"], stream)
    log.line("caas", "a")
    log.line("worker-1", "b")
    assert stream.getvalue() == "caas     | a\nworker-1 | b\n"


def test_line_without_an_end_is_shown() -> None:
    """What a dying process wrote last is shown."""
    assert copied(b"first\nlast") == ["ab | first", "ab | last"]


def test_blank_and_hidden_lines_are_left_out() -> None:
    """Lines that say nothing here are left out."""
    assert copied(b"one\n\n  \nknown noise\ntwo\n", hidden="noise") == ["ab | one", "ab | two"]


def test_endless_line_is_shown_in_pieces() -> None:
    """A child that never ends its line can't fill the memory."""
    lines = copied(b"x" * (3 * MAX_LINE_BYTES))
    assert (len(lines) > 1, max(map(len, lines)) <= 3 * MAX_LINE_BYTES) == (True, True)


def test_control_characters_are_left_out() -> None:
    """A child's output can't move the cursor or set the title."""
    assert copied(b"\x1b]0;title\x07\x1b[2Jtext\n") == ["ab | ]0;title[2Jtext"]


def test_output_that_is_no_utf8_is_shown() -> None:
    """Odd bytes are marked, not fatal."""
    assert copied(b"a\xffb\n") == ["ab | a\ufffdb"]


def test_terminal_gets_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal each part's name has its colour."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    Log(["ab"], stream).line("ab", "text")
    assert stream.getvalue() == "\x1b[36mab |\x1b[0m text\n"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR switches colour off."""
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    Log(["ab"], stream).line("ab", "text")
    assert stream.getvalue() == "ab | text\n"
