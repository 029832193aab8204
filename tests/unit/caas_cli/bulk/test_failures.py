"""The file of failures: what it takes up, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from caas_cli.bulk.failures import FailureFile
from caas_cli.exit_codes import UsageError

FOUND = [(3, "ann", "malformed_row")]


def test_goes_on_where_a_checkpoint_is(tmp_path: Path) -> None:
    """What stands behind the checkpoint is cut off, what stands before it is kept."""
    path = tmp_path / "failures.csv"
    first = FailureFile(path, 0)
    first.add(FOUND)
    size_bytes = first.size_bytes
    first.add(FOUND)
    first.close()
    FailureFile(path, size_bytes).close()
    assert path.read_text() == "row,key,code\n3,ann,malformed_row\n"


@pytest.mark.parametrize("left", ["", "row,k"])
def test_beginning_of_a_killed_run_is_taken_over(tmp_path: Path, left: str) -> None:
    """A run that was killed while it wrote the header is resumed."""
    path = tmp_path / "failures.csv"
    path.write_text(left)
    resumed = FailureFile(path, 0)
    resumed.add(FOUND)
    resumed.close()
    assert path.read_text() == "row,key,code\n3,ann,malformed_row\n"


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    """A run that is resumed with the name of another file does not empty it."""
    path = tmp_path / "customers.csv"
    path.write_text("id,name\n1,Ann\n")
    with pytest.raises(UsageError, match="--failures names a file that holds something else"):
        FailureFile(path, 0)
    assert path.read_text() == "id,name\n1,Ann\n"
