"""`caas audit verify`: is each file of an audit log whole (docs/audit.md)?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from caas_cli.exit_codes import UsageError
from caas_cli.home import Home
from caas_tasks.errors import ConfigurationError
from worker.audit_chain import MAX_LINE_BYTES, Verdict, chain_key
from worker.audit_chain import verify as verify_lines
from worker.keystore import file


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What is said of one file.

    Attributes:
        path: of the file.
        verdict: what its lines are like.
        lacks_before: whether files of the same process's log that came before were not given.
        lacks_next: whether it says that another one follows, which was not given.
    """

    path: Path
    verdict: Verdict
    lacks_before: bool
    lacks_next: bool

    def is_well(self, *, is_running: bool, is_partial: bool) -> bool:
        """Whether nothing is wrong.

        Args:
            is_running: its worker may run, so its last line may be missing, or the next file, which
                the worker begins after a rotation.
            is_partial: files before the first of a log and after the last may be missing.
        """
        return (
            self.verdict.fault is None
            and (self.verdict.is_closed or is_running)
            and (not self.lacks_before or is_partial)
            and (not self.lacks_next or is_partial or is_running)
        )

    def fields(self) -> dict[str, object]:
        """The verdict for scripts."""
        verdict = self.verdict
        return {
            "file": str(self.path),
            "chain": verdict.chain,
            "number": verdict.number,
            "right_lines": verdict.lines,
            "first_wrong_line": None if verdict.fault is None else verdict.lines + 1,
            "fault": verdict.fault,
            "is_closed": verdict.is_closed,
            "lacks_before": self.lacks_before,
            "lacks_next": self.lacks_next,
        }

    def in_words(self) -> str:
        """The verdict for people, in one line."""
        verdict = self.verdict
        if verdict.fault is not None:
            return f"{self.path.name}  line {verdict.lines + 1}: {verdict.fault}"
        said = []
        if self.lacks_before:
            said.append("the files before it are missing")
        if self.lacks_next:
            said.append("the file after it is missing")
        if not verdict.is_closed:
            said.append(
                "ends without its last line: cut off, its worker was killed, or it still runs"
            )
        return f"{self.path.name}  {verdict.lines} lines  {'; '.join(said) or 'whole'}"


def verify(home: Home, paths: Sequence[Path]) -> list[FileVerdict]:
    """Check files, those of one process in their order.

    Raises:
        KeystoreError: the keystore can't be read.
        ConfigurationError: the keystore has no audit key.
        UsageError: a file can't be read.
    """
    audit_key = file.load(home.keystore, file.load_identities(home.identity)).audit_key
    if audit_key is None:
        raise ConfigurationError("The keystore has no audit key, so no log was chained with it.")
    key = chain_key(audit_key)
    # A name holds the process's start, its chain and the file's number.
    found: list[FileVerdict] = []
    latest: dict[str | None, int] = {}
    for path in sorted(paths, key=lambda path: path.name):
        verdict = _verify_file(key, path, found[-1].verdict if found else None)
        index = latest.get(verdict.chain) if verdict.chain is not None else None
        if index is not None and index < len(found) - 1:
            # A name that was changed put other files between, which must not hide a missing one.
            verdict = _verify_file(key, path, found[index].verdict)
        if index is not None:
            found[index] = replace(found[index], lacks_next=False)
        lacks_before = index is None and verdict.number > 1
        found.append(FileVerdict(path, verdict, lacks_before, lacks_next=verdict.is_followed))
        latest[verdict.chain] = len(found) - 1
    return found


def _verify_file(key: bytes, path: Path, before: Verdict | None) -> Verdict:
    problem: str | None
    try:
        with path.open("rb") as lines:
            # No line is read beyond its bound, whatever the file is.
            return verify_lines(key, iter(lambda: lines.readline(MAX_LINE_BYTES + 1), b""), before)
    except OSError as error:
        problem = error.strerror
    raise UsageError(f"{path}: {problem}")
