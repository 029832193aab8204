"""Every error has its exit code, and the documentation has every exit code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caas_cli import exit_codes
from caas_cli.exit_codes import MEANINGS, CommandError, ExitCode, exit_code_of, one_line
from caas_tasks.errors import ERRORS_BY_CODE, ConfigurationError

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "cli.md"


def test_every_service_error_has_an_exit_code() -> None:
    """The table of codes is total."""
    assert set(exit_codes._BY_CODE) == set(ERRORS_BY_CODE)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), ExitCode.CONFIGURATION),
        (CommandError("x", ExitCode.UNAVAILABLE), ExitCode.UNAVAILABLE),
        (ValueError("x"), ExitCode.INTERNAL),
    ],
)
def test_other_errors_have_an_exit_code(error: Exception, code: ExitCode) -> None:
    """Errors outside the wire's table have theirs too."""
    assert exit_code_of(error) == code


def test_documentation_has_the_exit_codes() -> None:
    """docs/cli.md has each exit code with its meaning, and no other."""
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert dict(rows) == {str(code.value): text for code, text in MEANINGS.items()}


def test_own_text_stays_on_one_line() -> None:
    """A text with a line end becomes one line."""
    assert one_line(ConfigurationError("a\nb")) == "a b"


def test_foreign_text_is_left_out() -> None:
    """The text of another library's exception may hold input."""
    assert one_line(ValueError("input")) == "internal error: ValueError"
