"""`caas audit verify`: is each file of an audit log whole (docs/audit.md)?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from caas_cli.exit_codes import UsageError
from caas_cli.home import Home
from caas_tasks.errors import ConfigurationError
from worker.audit_chain import MAX_LINE_BYTES, Verdict, chain_key
from worker.audit_chain import verify as verify_lines
from worker.keystore import file


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What is said of one file."""

    path: Path
    verdict: Verdict

    def is_well(self, *, is_running: bool) -> bool:
        """Whether nothing is wrong; of a running worker's file the last line may be missing."""
        return self.verdict.fault is None and (self.verdict.is_closed or is_running)

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
        }

    def in_words(self) -> str:
        """The verdict for people, in one line."""
        verdict = self.verdict
        if verdict.fault is not None:
            return f"{self.path.name}  line {verdict.lines + 1}: {verdict.fault}"
        if not verdict.is_closed:
            return (
                f"{self.path.name}  {verdict.lines} lines  ends without its last line: "
                "cut off, its worker was killed, or it still runs"
            )
        return f"{self.path.name}  {verdict.lines} lines  whole"


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
    verdicts: list[FileVerdict] = []
    # A name holds the process's start, its chain and the file's number.
    for path in sorted(paths, key=lambda path: path.name):
        before = verdicts[-1].verdict if verdicts else None
        verdicts.append(FileVerdict(path, _verify_file(key, path, before)))
    return verdicts


def _verify_file(key: bytes, path: Path, before: Verdict | None) -> Verdict:
    problem: str | None
    try:
        with path.open("rb") as lines:
            # No line is read beyond its bound, whatever the file is.
            return verify_lines(key, iter(lambda: lines.readline(MAX_LINE_BYTES + 1), b""), before)
    except OSError as error:
        problem = error.strerror
    raise UsageError(f"{path}: {problem}")
