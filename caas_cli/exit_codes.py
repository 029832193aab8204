"""Exit codes, after BSD's sysexits.h, and the one line that an error becomes.

docs/cli.md and `caas --help` show the same table.
"""

from __future__ import annotations

import traceback
from enum import IntEnum
from pathlib import Path
from typing import Final

from caas_tasks.errors import CaasError, ConfigurationError, ServiceError


class ExitCode(IntEnum):
    """What `caas` exits with."""

    OK = 0
    NEGATIVE = 1
    USAGE = 2
    UNAVAILABLE = 69
    INTERNAL = 70
    TEMPORARY = 75
    REFUSED = 77
    CONFIGURATION = 78


MEANINGS: Final[dict[ExitCode, str]] = {
    ExitCode.OK: "done, or the answer is yes",
    ExitCode.NEGATIVE: "the answer is no: not valid, the doctor found something, or rows failed",
    ExitCode.USAGE: "a wrong option, argument or input",
    ExitCode.UNAVAILABLE: "the broker, a port, the home folder or a key version is not available",
    ExitCode.INTERNAL: "an internal error",
    ExitCode.TEMPORARY: "no answer in time, or too many requests: try again later",
    ExitCode.REFUSED: "the API key is not valid or lacks the scope",
    ExitCode.CONFIGURATION: "a setting, key or file is missing or wrong",
}

_BY_CODE: Final = {
    "invalid_request": ExitCode.USAGE,
    "payload_too_large": ExitCode.USAGE,
    "unauthorized": ExitCode.REFUSED,
    "forbidden": ExitCode.REFUSED,
    "key_unavailable": ExitCode.UNAVAILABLE,
    "undecryptable": ExitCode.NEGATIVE,
    "rate_limited": ExitCode.TEMPORARY,
    # A message that no worker can open was sealed to another installation's key.
    "unreadable": ExitCode.CONFIGURATION,
    "unavailable": ExitCode.UNAVAILABLE,
    "timeout": ExitCode.TEMPORARY,
    "internal": ExitCode.INTERNAL,
}


class CommandError(CaasError):
    """A command can't do what it was asked to.

    Attributes:
        exit_code: what the process exits with.
    """

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        self.exit_code = exit_code
        super().__init__(message)


class UsageError(CommandError):
    """Options that don't go together, or input of the wrong form."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.USAGE)


def exit_code_of(error: Exception) -> ExitCode:
    """The exit code that an exception becomes."""
    if isinstance(error, CommandError):
        return error.exit_code
    if isinstance(error, ServiceError):
        return _BY_CODE.get(error.code, ExitCode.INTERNAL)
    if isinstance(error, ConfigurationError):
        return ExitCode.CONFIGURATION
    return ExitCode.INTERNAL


def one_line(error: Exception) -> str:
    """What is shown of an exception: its own text if it is this project's, else its type and place.

    The text of any other exception may hold input, so it is left out.
    """
    if isinstance(error, CaasError):
        return " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"internal error: {type(error).__name__}{place}"
