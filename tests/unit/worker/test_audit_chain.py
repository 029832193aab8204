"""The chain of an audit log: what is right passes, and each way of tampering names its line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from worker.audit_chain import MAX_LINE_BYTES, START, Sealer, Verdict, chain_key, verify

KEY = chain_key(bytes(range(32)))
CHAIN = {"chain": "0011223344556677"}


def sealed(*events: dict[str, Any], before: bytes = START, first_seq: int = 1) -> list[bytes]:
    """Lines as a worker writes them."""
    lines = []
    for seq, fields in enumerate(events, first_seq):
        line, before = Sealer(KEY).line(before, {"seq": seq, **fields})
        lines.append(line)
    return lines


def log(requests: int = 4) -> list[bytes]:
    """A whole file: a start, requests, a stop."""
    middle = [{"event": "request", "items": number} for number in range(requests)]
    return sealed({"event": "start", "file": 1, **CHAIN}, *middle, {"event": "stop"})


def test_whole_log_is_right() -> None:
    """A file that nobody touched passes, and says that it is whole."""
    lines = log()
    assert verify(KEY, lines) == Verdict(
        6, None, True, CHAIN["chain"], 1, bytes.fromhex(json.loads(lines[-1])["mac"])
    )


@pytest.mark.parametrize("place", range(1, 5))
def test_changed_line(place: int) -> None:
    """A line with one byte changed is the first wrong one."""
    lines = log()
    lines[place] = lines[place].replace(b'"items":', b'"itemz":')
    verdict = verify(KEY, lines)
    assert verdict.lines == place
    assert verdict.fault == "was changed, or lines before it were removed, added or moved"


@pytest.mark.parametrize("place", range(1, 5))
def test_removed_line(place: int) -> None:
    """Where a line was removed the next one is wrong."""
    lines = log()
    del lines[place]
    verdict = verify(KEY, lines)
    assert (verdict.lines, verdict.is_closed) == (place, False)
    assert verdict.fault is not None


@pytest.mark.parametrize("place", range(1, 4))
def test_swapped_lines(place: int) -> None:
    """Two lines that changed places are wrong from the first of them."""
    lines = log()
    lines[place], lines[place + 1] = lines[place + 1], lines[place]
    assert verify(KEY, lines).lines == place


@pytest.mark.parametrize("place", range(1, 5))
def test_doubled_line(place: int) -> None:
    """A line that stands twice is wrong the second time."""
    lines = log()
    lines.insert(place, lines[place])
    assert verify(KEY, lines).lines == place + 1


@pytest.mark.parametrize("kept", range(1, 6))
def test_truncated_file_is_not_closed(kept: int) -> None:
    """A file whose last lines are gone has no line that says it is whole."""
    verdict = verify(KEY, log()[:kept])
    assert (verdict.lines, verdict.fault, verdict.is_closed) == (kept, None, False)


def test_file_that_is_cut_within_a_line() -> None:
    """A line without its end is named."""
    lines = log()
    lines[-1] = lines[-1][:-5]
    assert verify(KEY, lines).fault == "is cut off"


def test_removed_beginning() -> None:
    """A file that begins in the middle is wrong at once."""
    verdict = verify(KEY, log()[1:])
    assert (verdict.lines, verdict.fault) == (
        0,
        "is not how a file begins: lines before it are missing",
    )


def test_empty_file() -> None:
    """An empty file was emptied: a worker writes its first line when it makes one."""
    assert verify(KEY, []).fault == "is missing: the file is empty"


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"rubbish\n",
        b"{}\n",
        b'[],"mac":"' + b"0" * 64 + b'"}\n',
        b'{"event":"start","file":1,"mac":"' + b"0" * 64 + b'"}\n',
        b'{"event":"start","after":5,"mac":"' + b"0" * 64 + b'"}\n',
        b'{"event":\xff,"mac":"' + b"0" * 64 + b'"}\n',
        b'{"event":"start","a":' + b"[" * 200_000 + b',"mac":"' + b"0" * 64 + b'"}\n',
        b'{"event":"start","after":%b%b,"mac":"%b"}\n' % (b"[" * 900, b"]" * 900, b"0" * 64),
        b'{"a":"' + b"x" * MAX_LINE_BYTES + b'","mac":"' + b"0" * 64 + b'"}\n',
    ],
)
@pytest.mark.parametrize("place", [0, 3])
def test_rubbish_is_no_line(line: bytes, place: int) -> None:
    """Whatever stands where a line should, it is named and nothing crashes."""
    lines = log()
    lines.insert(place, line)
    verdict = verify(KEY, lines)
    assert verdict.lines == place
    assert verdict.fault is not None


def test_line_of_another_key() -> None:
    """Who has not the keystore can't write a line."""
    line, _ = Sealer(bytes(32)).line(START, {"seq": 1, "event": "start", "file": 1, **CHAIN})
    assert verify(KEY, [line]).lines == 0


def test_nothing_follows_a_last_line() -> None:
    """What a worker itself wrote does not count where it can't stand."""
    lines = log()
    mac = bytes.fromhex(json.loads(lines[-1])["mac"])
    lines += sealed({"event": "request"}, before=mac, first_seq=7)
    assert verify(KEY, lines).fault == "does not follow the line before"


def next_file(lines: list[bytes], number: int = 2, **changes: Any) -> list[bytes]:
    """The file that goes on from another."""
    last = json.loads(lines[-1])
    head = {"event": "continue", "file": number, "after": last["mac"], **CHAIN, **changes}
    before = bytes.fromhex(head["after"])
    return sealed(head, {"event": "stop"}, before=before, first_seq=last["seq"] + 1)


def test_chain_goes_on_in_the_next_file() -> None:
    """A rotated log is one chain over its files."""
    first = sealed({"event": "start", "file": 1, **CHAIN}, {"event": "rotate"})
    before = verify(KEY, first)
    assert before.is_closed
    assert before.is_followed
    after = verify(KEY, next_file(first), before)
    assert (after.fault, after.lines, after.number, after.is_closed) == (None, 2, 2, True)
    assert not after.is_followed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda first: next_file(first, number=3),
        lambda first: next_file(first, after="00" * 32),
        lambda first: next_file(first[:-1]),
    ],
    ids=["a file between is missing", "another end", "the end was added later"],
)
def test_next_file_that_does_not_go_on(spoil: Callable[[list[bytes]], list[bytes]]) -> None:
    """A file that is missing between two, or an end that is not the one it goes on from, shows."""
    first = sealed({"event": "start", "file": 1, **CHAIN}, {"event": "rotate"})
    verdict = verify(KEY, spoil(first), verify(KEY, first))
    assert (verdict.lines, verdict.fault) == (0, "does not go on from the end of the file before")


def test_file_of_another_process_begins_anew() -> None:
    """Logs of several processes stand one after the other."""
    other = sealed({"event": "start", "file": 1, "chain": "ff"}, {"event": "stop"})
    assert verify(KEY, other, verify(KEY, log())).fault is None


def test_later_file_alone_is_checked_from_where_it_says() -> None:
    """A file whose predecessors are missing is checked line by line, and its number tells it."""
    first = sealed({"event": "start", "file": 1, **CHAIN}, {"event": "rotate"})
    lines = next_file(first)
    verdict = verify(KEY, lines)
    assert (verdict.fault, verdict.number) == (None, 2)
    lines[0] = lines[0].replace(b'"file":2', b'"file":1')
    assert verify(KEY, lines).lines == 0
