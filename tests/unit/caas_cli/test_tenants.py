"""`caas tenant`: listed with their limits, which can be set and taken back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from caas_cli.exit_codes import ExitCode
from caas_cli.home import Home


def listed(run: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("tenant", "list", "--json").stdout)
    return found


def limits(run: Any) -> tuple[Any, Any]:
    (tenant,) = listed(run)
    return tenant["guesses_per_minute"], tenant["guesses_per_day"]


def test_tenants_are_listed(made: Home, run: Any) -> None:
    """A tenant is there with its first API key, without limits of its own."""
    run("apikey", "create", "--tenant", "clinic")
    found = [(tenant["name"], tenant["api_keys"]) for tenant in listed(run)]
    assert found == [("shop", 1), ("clinic", 1)]
    assert run("tenant", "list").stdout.count("default") == 4


def test_each_limit_is_set_by_itself(made: Home, run: Any) -> None:
    """A limit that is not named stays as it was."""
    run("tenant", "set-limits", "shop", "--guesses-per-minute", "5")
    run("tenant", "set-limits", "shop", "--guesses-per-day", "50")
    assert limits(run) == (5, 50)


def test_limits_are_taken_back(made: Home, run: Any) -> None:
    """The worker's settings count again."""
    run("tenant", "set-limits", "shop", "--guesses-per-minute", "5")
    run("tenant", "set-limits", "shop", "--default")
    assert limits(run) == (None, None)


@pytest.mark.parametrize("options", [(), ("--default", "--guesses-per-day", "5")])
def test_limits_or_default(made: Home, run: Any, options: tuple[str, ...]) -> None:
    """One of the two, and not both."""
    assert run("tenant", "set-limits", "shop", *options).exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("name", "value"), [("canary", "5"), ("shop", "0"), ("shop", "canary"), ("shop", "1000000001")]
)
def test_refused_limits(made: Home, run: Any, name: str, value: str) -> None:
    """An unknown tenant and a limit out of range are refused, not repeated, and change nothing."""
    done = run("tenant", "set-limits", name, "--guesses-per-minute", value)
    assert (done.exit_code != 0, "canary" in done.stderr) == (True, False)
    assert limits(run) == (None, None)


def test_password_profile(made: Home, run: Any) -> None:
    """What new password hashes cost is shown and can be changed; weakness is warned of."""
    assert listed(run)[0]["password_profile"] == "rfc9106-low-memory"
    done = run("tenant", "set-password-profile", "shop", "cheapest")
    assert (done.exit_code, "for tests" in done.stderr) == (0, True)
    assert listed(run)[0]["password_profile"] == "cheapest"
    assert run("tenant", "set-password-profile", "shop", "rfc9106-high-memory").stderr == ""


@pytest.mark.parametrize("arguments", [("canary", "cheapest"), ("shop", "canary")])
def test_unknown_password_profile(made: Home, run: Any, arguments: tuple[str, str]) -> None:
    """An unknown tenant or profile is refused and not repeated."""
    done = run("tenant", "set-password-profile", *arguments)
    assert (done.exit_code, "canary" in done.stderr) == (ExitCode.CONFIGURATION, False)


@pytest.mark.parametrize("lower", ["rfc9106-low-memory", "cheapest"])
def test_profile_that_refuses_old_hashes(made: Home, run: Any, lower: str) -> None:
    """Where workers would refuse the present profile's hashes, that has to be asked for."""
    command = ("tenant", "set-password-profile", "shop")
    run(*command, "rfc9106-high-memory")
    for options in ((), ("--dry-run",)):
        done = run(*command, lower, *options)
        assert (done.exit_code, "--refuse-old-hashes" in done.stderr) == (78, True)
    assert listed(run)[0]["password_profile"] == "rfc9106-high-memory"
    assert run(*command, lower, "--refuse-old-hashes").exit_code == 0
    assert listed(run)[0]["password_profile"] == lower
