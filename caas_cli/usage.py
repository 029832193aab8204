"""One line on a wrong command line. It repeats no value: that may be data in the wrong place."""

from __future__ import annotations

import typer


def describe(error: typer.TyperException) -> str:
    """What was wrong, with the names of this program's own commands and options alone."""
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", "caas")
    return f"{_problem(error)}; see {command} --help"


def _problem(error: typer.TyperException) -> str:
    parameter = getattr(error, "param", None)
    if parameter is not None:
        name = parameter.get_error_hint()
        # click keeps "missing" apart from "malformed" by class alone.
        is_missing = type(error).__name__ == "MissingParameter"
        return f"{name} is required" if is_missing else f"the value of {name} is not of its form"
    if hasattr(error, "option_name"):
        similar = getattr(error, "possibilities", None)
        hint = f" (did you mean {', '.join(sorted(similar))}?)" if similar else ""
        return f"an option is unknown or lacks its value{hint}"
    if error.message.startswith("No such command"):
        return "no such command"
    return "an argument too many; data comes from a prompt or standard input"
