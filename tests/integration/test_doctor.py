"""`caas doctor` on a real service: its workers say what they are, its broker who may do what."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from rig.process import DEADLINE_S, PROJECT, environment
from rig.stack import Stack

from caas_cli.broker_acl import RULES
from caas_cli.doctor import rights
from caas_tasks.names import Lane
from caas_tasks.redis_url import parse_broker_url

pytestmark = pytest.mark.integration


def examine(stack: Stack) -> dict[str, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "caas_cli", "doctor", "--json"],
        env=environment({**stack.env, "CAAS_HOME": str(stack.folder)}),
        cwd=PROJECT,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(done.stdout):
        found.setdefault(finding["name"], []).append(finding)
    return found


def test_workers_say_what_they_are(new_stack: Callable[..., Stack]) -> None:
    """The lane with a worker is well, those without are told, releases and clocks are one."""
    stack = new_stack()
    stack.start_worker(queue=Lane.FAST.value)
    stack.wait_until_ready()
    found = examine(stack)
    told = {finding["detail"]: finding["is_ok"] for finding in found["workers"]}
    assert told == {
        "1 take(s) from the lane fast": True,
        "none takes from the lane password": False,
        "none takes from the lane bulk": False,
    }
    assert "releases" not in found
    assert all(finding["is_ok"] for finding in found["clock"])
    assert found["worker"][0]["is_ok"]
    assert not found["persistence"][0]["is_ok"]  # the rig's broker keeps nothing


def test_the_services_own_acl_is_found_right(new_stack: Callable[..., Stack]) -> None:
    """Dry runs on a real server: each user of this release may do what it needs and no more."""
    stack = new_stack()
    url = parse_broker_url(stack.broker.url)
    with stack.broker.connect() as server:
        for user, rules in RULES.items():
            server.execute_command("ACL", "SETUSER", user, "on", "nopass", *_words(rules))
        findings = rights.users(server, url)
        assert [finding.is_ok for finding in findings] == [True] * 4
        server.execute_command("ACL", "SETUSER", "caas-monitor", "+keys", "~*")
        server.execute_command("ACL", "SETUSER", "caas-client", "clearselectors")
        broken = {f.detail.partition(" ")[0] for f in rights.users(server, url) if not f.is_ok}
    assert broken == {"caas-monitor", "caas-client"}


def _words(rules: tuple[str, ...]) -> list[str]:
    words: list[str] = []
    for rule in rules:
        words += [rule] if rule.startswith("(") else rule.split()
    return words
