"""The journal: what it holds, and which line counts after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caas_cli.bulk.journal import Checkpoint, Journal, identity, keyed_hash
from caas_cli.exit_codes import CommandError

RUN = {
    "caas_bulk": 1,
    "operation": "encrypt",
    "input_bytes": 5,
    "input_mtime_ns": 7,
    "input_head": "aa",
    "options": "bb",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.csv.journal"


def written(path: Path, *checkpoints: Checkpoint) -> bytes:
    journal = Journal(path, RUN, is_new=True)
    for checkpoint in checkpoints:
        journal.add(checkpoint)
    journal.close()
    return path.read_bytes()


def last(path: Path) -> Checkpoint:
    journal = Journal(path, RUN, is_new=False)
    journal.close()
    return journal.last


def test_the_last_checkpoint_counts(path: Path) -> None:
    """Those before it are history."""
    written(path, Checkpoint(1), Checkpoint(2, 1, 30, 4))
    assert last(path) == Checkpoint(2, 1, 30, 4)


def test_any_prefix_of_it_gives_a_checkpoint_that_was_sure(path: Path) -> None:
    """Wherever a kill or a power cut ended the file."""
    checkpoints = [Checkpoint(rows, output=rows * 10) for rows in (100, 200, 300)]
    content = written(path, *checkpoints)
    found = set()
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        found.add(last(path))
    assert found == {Checkpoint(), *checkpoints}


def test_half_a_line_is_dropped_before_the_next_one(path: Path) -> None:
    """Else the next one would be unreadable too."""
    content = written(path, Checkpoint(1))
    path.write_bytes(content + b'{"rows":2,"fai')
    journal = Journal(path, RUN, is_new=False)
    journal.add(Checkpoint(3))
    journal.close()
    assert last(path) == Checkpoint(3)


@pytest.mark.parametrize("name", [name for name in RUN if name != "caas_bulk"])
def test_another_run_is_refused(path: Path, name: str) -> None:
    """Whatever differs."""
    written(path, Checkpoint(1))
    with pytest.raises(CommandError, match="--force starts over"):
        Journal(path, {**RUN, name: "another"}, is_new=False)


def test_a_later_format_is_refused(path: Path) -> None:
    """It may mean something else."""
    path.write_text(json.dumps({**RUN, "caas_bulk": 2}) + "\n")
    with pytest.raises(CommandError, match="another version"):
        Journal(path, RUN, is_new=False)


@pytest.mark.parametrize("line", ['{"rows":1,"unknown":2}', '{"caas_bulk":1,"operation":"wrap"}'])
def test_a_damaged_one_is_refused(path: Path, line: str) -> None:
    """A whole line that is no checkpoint was not written by a run."""
    path.write_text(json.dumps(RUN) + "\n" + line + "\n")
    with pytest.raises(CommandError, match="damaged"):
        Journal(path, RUN, is_new=False)


def test_two_at_once_refuse_each_other(path: Path) -> None:
    """The second finds it locked."""
    first = Journal(path, RUN, is_new=True)
    with pytest.raises(CommandError, match="another run"):
        Journal(path, RUN, is_new=False)
    first.close()


def test_its_hashes_need_the_api_key(tmp_path: Path) -> None:
    """Nobody can test guesses about a small input with the journal alone."""
    source = tmp_path / "in.csv"
    source.write_text("user_uuid,value\n")
    first, second = (identity(source, {}, "encrypt", key) for key in ("key 1", "key 2"))
    assert first["input_head"] != second["input_head"]
    assert first["options"] != second["options"]
    assert keyed_hash("k", b"a", b"bc") != keyed_hash("k", b"ab", b"c")
