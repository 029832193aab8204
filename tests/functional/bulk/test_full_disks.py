"""`caas bulk` to a disk that is full: a real small one where one may be mounted."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from caas_cli.exit_codes import ExitCode

ROWS = 2_000
USERS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(ROWS)]
VALUES = [f"value {number}" for number in range(ROWS)]
KINDS = ("csv", "jsonl", "parquet")
SIZES = (4_096, 131_072, 262_144)
"""Room in bytes that ends with the first rows, within later ones, and where parts are joined."""


class Disk:
    """A folder with little room, until `make_room`."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self._size_bytes = size_bytes
        path.mkdir()
        self._is_mounted = self._mount(f"size={size_bytes}")
        self._patch = pytest.MonkeyPatch()
        if not self._is_mounted:
            self._pretend()

    def _mount(self, options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False

    def _pretend(self) -> None:
        """Where nothing may be mounted, fail as the system does: in `write`, or late in `fsync`."""
        write, fsync = os.write, os.fsync

        def check(more_bytes: int) -> None:
            used = sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())
            if used + more_bytes > self._size_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def limited_write(descriptor: int, data: Any) -> int:
            check(len(data))
            return write(descriptor, data)

        def limited_fsync(descriptor: int) -> None:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                check(0)
            fsync(descriptor)

        self._patch.setattr(os, "write", limited_write)
        self._patch.setattr(os, "fsync", limited_fsync)

    def make_room(self) -> None:
        """Let 16 MiB be written."""
        self._patch.undo()
        if self._is_mounted:
            assert self._mount("remount,size=16m")

    def close(self) -> None:
        """Take it away."""
        self._patch.undo()
        if self._is_mounted:
            subprocess.run(["umount", str(self.path)], check=True)


@pytest.fixture(params=SIZES)
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    """A disk with too little room for the output."""
    made = Disk(tmp_path / "disk", request.param)
    try:
        yield made
    finally:
        made.close()


def write_input(path: Path, folder: Any) -> None:
    rows = [(str(i), u, v) for i, (u, v) in enumerate(zip(USERS, VALUES, strict=True))]
    if path.suffix == ".csv":
        folder.write(path.name, rows)
    elif path.suffix == ".jsonl":
        lines = [{"id": i, "user_uuid": u, "value": v} for i, u, v in rows]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        ids = [row[0] for row in rows]
        pq.write_table(pa.table({"id": ids, "user_uuid": USERS, "value": VALUES}), path)


def content(path: Path) -> Any:
    """What compares equal for two whole outputs; a Parquet file's rows."""
    return pq.read_table(path) if path.suffix == ".parquet" else path.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_stops_a_run_that_goes_on_when_there_is_room(
    run: Callable[..., Result], tmp_path: Path, folder: Any, disk: Disk, kind: str
) -> None:
    """One line and the exit code for "later", as often as it is tried; then no row is missing."""
    source, whole = tmp_path / f"in.{kind}", tmp_path / f"whole.{kind}"
    out = disk.path / f"out.{kind}"
    write_input(source, folder)
    arguments = ("encrypt", str(source), str(out), "--checkpoint-every", "0", "--resume")
    for _ in range(2):
        full = run(*arguments)
        assert full.exit_code == ExitCode.TEMPORARY
        assert full.stderr.splitlines()[-1] == (
            "caas: the output: No space left on device; "
            "what is done is kept; the same command with --resume goes on"
        )
        assert not out.exists()
    disk.make_room()
    assert run(*arguments).exit_code == 0
    assert run("encrypt", str(source), str(whole)).exit_code == 0
    assert content(out) == content(whole)
    assert {path.name for path in disk.path.iterdir()} == {out.name}
