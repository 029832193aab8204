"""What a run came to, for a person or for a script."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from caas_cli.output import say, say_json


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to, earlier parts of it included.

    Attributes:
        rows: rows that were looked at.
        failed: those of them that failed.
        failures: the file that lists them, if there is one.
        was_finished: an earlier run had done everything; rows and failures aren't counted anew.
        would_fail: of a dry run, how many rows are sure to fail with which code.
    """

    rows: int
    failed: int
    failures: Path | None
    would_fail: tuple[str, ...] = ()
    was_finished: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether no row failed."""
        return not self.failed and self.failures is None

    def show(self, *, as_json: bool) -> None:
        """Print it."""
        path = None if self.failures is None else str(self.failures)
        if as_json:
            shown = {"rows": self.rows, "failed": self.failed, "failures": path}
            extra = {"would_fail": list(self.would_fail)} if self.would_fail else {}
            say_json({**shown, **extra})
            return
        if self.was_finished:
            say("finished already" + (f", with failures: {path}" if path else ""))
            return
        say(f"{self.rows:,} rows, {self.failed:,} failed" + (f": {path}" if path else ""))
        for line in self.would_fail:
            say(f"  {line}")
