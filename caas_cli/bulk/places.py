"""Where the files of a run are, and what is refused before anything is touched."""

from __future__ import annotations

import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from caas_cli.bulk.private_files import plain_problems
from caas_cli.exit_codes import UsageError


@dataclass(frozen=True, slots=True)
class Places:
    """The files of a run.

    Attributes:
        source: the input.
        output: the finished output; it has this name only when it is whole.
        failures: the rows that failed.
    """

    source: Path
    output: Path
    failures: Path

    @classmethod
    def of(cls, source: Path, output: Path, failures: Path | None) -> Places:
        """The places; failures are beside the output when nothing else is said."""
        beside = output.with_name(output.name + ".failures.csv")
        return cls(source.absolute(), output.absolute(), (failures or beside).absolute())

    @property
    def part(self) -> Path:
        """The output while it is written."""
        return self.output.with_name(self.output.name + ".part")

    @property
    def parts(self) -> Path:
        """The folder of a Parquet output's parts."""
        return self.output.with_name(self.output.name + ".parts")

    @property
    def journal(self) -> Path:
        """The journal, while the run isn't finished."""
        return self.output.with_name(self.output.name + ".journal")

    def check(self) -> None:
        """Refuse what could harm the input, and what can't work.

        Raises:
            UsageError: the input is no file, the output is the input, no folder for the output.
            CommandError: the input can't be looked at.
        """
        with plain_problems("the input"):
            status = self.source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError("the input is not a regular file, so a run could not be resumed")
        written = [self.output, self.part, self.parts, self.journal, self.failures]
        if len({path.resolve() for path in written}) < len(written):
            raise UsageError("the output and the file of failures are the same file")
        for path in written:
            if path.exists() and path.samefile(self.source):
                raise UsageError("the input is also an output; give the output another name")
        if self.output.is_dir():
            raise UsageError("the output is a folder")
        for path in (self.output, self.failures):
            if not path.parent.is_dir():
                raise UsageError("the folder of the output or of the file of failures is not there")

    def check_free(self) -> None:
        """Refuse to overwrite.

        Raises:
            UsageError: an output is there, or an earlier run isn't finished.
        """
        if self.journal.exists():
            raise UsageError(
                "an earlier run is not finished; --resume goes on, --force starts over"
            )
        if self.output.exists() or self.failures.exists():
            raise UsageError("the output or its file of failures is there already; see --force")

    def clear(self) -> None:
        """Remove what an earlier run left, but for a finished output and the journal.

        Raises:
            CommandError: something can't be removed.
        """
        with plain_problems("the output"):
            for path in (self.part, self.failures):
                path.unlink(missing_ok=True)
        self.remove_parts()

    def remove_parts(self) -> None:
        """Remove a Parquet output's parts."""
        shutil.rmtree(self.parts, ignore_errors=True)
