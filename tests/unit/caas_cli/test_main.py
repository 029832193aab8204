"""The command line as a whole: quick help, one-line errors, no value repeated."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from caas_cli.exit_codes import ExitCode
from caas_tasks.errors import UnauthorizedError

HEAVY = ("celery", "kombu", "redis", "cryptography", "pyrage", "uvicorn", "starlette")
LOADED = f"""
import sys, caas_cli.main
print(" ".join(name for name in {HEAVY!r} if name in sys.modules))
"""
MARKER = "s3cret-value-in-the-wrong-place"
COMMANDS = ["init", "worker", "gateway", "up", "demo", "encrypt", "verify", "doctor"]
KEY_COMMANDS = ["apikey create", "apikey list", "apikey revoke"]


def test_help_loads_nothing_heavy() -> None:
    """`caas --help` needs neither Celery nor cryptography."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, check=True)
    assert done.stdout.decode().split() == []


def test_help_lists_every_command(run: Any) -> None:
    """Each command has its line in the help text."""
    text = run("--help").stdout
    assert [name for name in [*COMMANDS, "apikey"] if f"{name} " not in text] == []


def test_help_gives_the_exit_codes(run: Any) -> None:
    """Scripts' authors find the exit codes in the help text."""
    words = run("--help").stdout.split()
    assert [code for code in ExitCode if str(code.value) not in words] == []


@pytest.mark.parametrize("command", [*COMMANDS, *KEY_COMMANDS])
def test_every_command_has_an_example(run: Any, command: str) -> None:
    """Help texts show the command in use."""
    assert "Example: " in run(*command.split(), "--help").stdout


def test_no_command_shows_the_help(run: Any) -> None:
    """`caas` alone says what there is."""
    assert "doctor" in run().output


@pytest.mark.parametrize(
    "arguments",
    [
        (MARKER,),
        (f"--{MARKER}",),
        ("encrypt", "--user-uuid", "U", MARKER),
        ("encrypt", "--data", MARKER),
        ("encrypt", f"--data={MARKER}"),
        ("up", "--port", MARKER),
        ("init", "--profile", MARKER),
        ("verify", "--user-uuid", "U", "--encrypted-data", "H", "--key-version", MARKER),
    ],
)
def test_usage_error_is_one_line_without_the_value(run: Any, arguments: tuple[str, ...]) -> None:
    """A wrong command line ends with 2 and one line that repeats no value."""
    done = run(*arguments)
    told = (done.exit_code, done.stderr.count("\n"), MARKER in done.output)
    assert told == (ExitCode.USAGE, 1, False)


def test_missing_option_is_named(run: Any) -> None:
    """The line says which option is required."""
    assert "--user-uuid" in run("encrypt").stderr


@pytest.mark.parametrize("command", ["encrypt", "verify"])
def test_data_is_no_argument(run: Any, command: str) -> None:
    """No option takes the data: it would stand in the process list."""
    assert "--data" not in run(command, "--help").stdout


def test_missing_setting_is_a_configuration_error(run: Any) -> None:
    """Without settings and without client.env, the line names what is missing."""
    done = run("encrypt", "--user-uuid", "U", input="data")
    assert (done.exit_code, "CAAS_BROKER_URL" in done.stderr) == (ExitCode.CONFIGURATION, True)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UnauthorizedError(), ExitCode.REFUSED, "caas: The API key is not valid.\n"),
        (KeyError(MARKER), ExitCode.INTERNAL, "caas: internal error: KeyError at test_main.py"),
    ],
)
def test_error_of_a_command_is_one_line(
    run: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, code: ExitCode, line: str
) -> None:
    """An error's own text is shown only when it is this project's; the exit code says the kind."""

    def fail(_home: object) -> None:
        raise error

    monkeypatch.setattr("caas_cli.doctor.examine", fail)
    done = run("doctor")
    told = (done.exit_code, done.stderr.startswith(line), MARKER in done.output)
    assert (*told, done.stderr.count("\n")) == (code, True, False, 1)
