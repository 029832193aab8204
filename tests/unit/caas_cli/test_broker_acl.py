"""The broker's users: hashed passwords, no default user, and the template of the repository."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from caas_cli.broker_acl import CLIENT, MONITOR, RULES, SCALER, WORKER, acl_file

ROOT = Path(__file__).resolve().parents[3]
PASSWORDS = {user: f"canary-{user}" for user in (CLIENT, WORKER, MONITOR, SCALER)}


def test_users_and_hashes() -> None:
    """Each user has a line with the hash of its password, and the default user is off."""
    lines = acl_file(PASSWORDS).splitlines()
    assert [line.split()[:3] for line in lines[:1]] == [["user", "default", "off"]]
    hashes = {line.split()[1]: line.split()[3] for line in lines[1:]}
    assert hashes == {
        user: "#" + hashlib.sha256(password.encode()).hexdigest()
        for user, password in PASSWORDS.items()
    }


def test_no_user_has_a_category() -> None:
    """Rights are given command by command: a category grows with the server's releases."""
    assert not any("+@" in rule or "allkeys" in rule for rules in RULES.values() for rule in rules)


def test_template_is_this() -> None:
    """deploy/redis/users.acl.template has these rules, with places for the hashes."""
    text = (ROOT / "deploy" / "redis" / "users.acl.template").read_text()
    given = [line for line in text.splitlines() if not line.startswith("#")]
    made = [re.sub(r"#[0-9a-f]{64}", "#HASH", line) for line in acl_file(PASSWORDS).splitlines()]
    assert [re.sub(r"#SHA256_OF_[A-Z_]+", "#HASH", line) for line in given] == made
