"""docs/migration.md: its commands, statements and Django code run as they stand, in order."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from rig.process import DEADLINE_S, PROJECT, environment
from rig.stack import Stack

from caas_tasks.names import Lane
from worker.operations import classic

pytestmark = pytest.mark.integration

GUIDE = PROJECT / "docs" / "migration.md"
BLOCK = re.compile(r"^```(console|sql|py)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*?[^\\])$", re.MULTILINE | re.DOTALL)
USERS = 700
SALTS = ["salt", "pepper", "grains"]

DJANGO = """
SECRET_KEY = "of-this-test"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "accounts"]
"""
LOG_IN = """
import json, django
django.setup()
from django.contrib.auth import authenticate
tries = ["a wrong guess", "password 5", "a wrong guess", "password 5"]
users = [authenticate(username="user5", password=password) for password in tries]
print(json.dumps([user is not None for user in users]))
"""


def blocks() -> list[tuple[str, str]]:
    return [(match[1], match[2]) for match in BLOCK.finditer(GUIDE.read_text(encoding="utf-8"))]


def password(number: int) -> str:
    return f"password {number}"


def digest(number: int) -> str:
    """What the old code stored."""
    return hashlib.md5(password(number).encode(), usedforsecurity=False).hexdigest()


def fill(path: Path) -> None:
    """The tables as the guide finds them; UUIDs as Django stores them in SQLite."""
    database = sqlite3.connect(path)
    with database:
        database.execute(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, uuid CHAR(32) UNIQUE, "
            "username VARCHAR(150) UNIQUE, md5 VARCHAR(32), last_login TEXT)"
        )
        database.executemany(
            "INSERT INTO users (id, uuid, username, md5) VALUES (?, ?, ?, ?)",
            [(n, uuid.UUID(int=n).hex, f"user{n}", digest(n)) for n in range(1, USERS + 1)],
        )
        database.execute(
            "CREATE TABLE members (id INTEGER PRIMARY KEY, uuid TEXT, digest VARCHAR(128))"
        )
        members = [str(uuid.UUID(int=n)) for n in range(1, 30)]
        database.executemany(
            "INSERT INTO members VALUES (?, ?, ?)",
            [
                (n, user, classic.encrypt(SALTS, user, f"data {n}"))
                for n, user in enumerate(members, 1)
            ],
        )
    database.close()


def query(path: Path, text: str) -> list[Any]:
    database = sqlite3.connect(path)
    try:
        with database:
            rows: list[Any] = []
            for statement in filter(str.strip, text.split(";")):
                rows = list(database.execute(statement))
            return rows
    finally:
        database.close()


class Walk:
    """Goes through the guide in a folder with the tables, against a service."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.database = folder / "shop.db"
        program = str(Path(sys.executable).parent)
        self.env = environment(
            {
                **stack.env,
                "CAAS_HOME": str(folder / "home"),
                "CAAS_DATABASE_URL": f"sqlite:///{self.database}",
                "DJANGO_SETTINGS_MODULE": "settings",
            }
        )
        self.env["PATH"] = f"{program}:{self.env['PATH']}"
        self.env["PYTHONPATH"] = f"{folder}:{self.env['PYTHONPATH']}"
        self.answers: dict[str, Any] = {}

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def do(self, kind: str, text: str) -> None:
        """One block of the guide."""
        if kind == "console":
            for command in COMMAND.findall(text):
                self.answers[command] = self.run("bash", "-ec", command)
        elif kind == "sql":
            self.answers[text.strip()] = query(self.database, text)
        else:
            path = self.folder / text.splitlines()[0].removeprefix("# ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text + (DJANGO if path.name == "settings.py" else ""))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The guide, done from its first block to its last."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "salts.json").write_text(json.dumps(SALTS))
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        fill(folder / "shop.db")
        stack.start_worker(queue=f"{Lane.FAST.value},{Lane.PASSWORD.value}")
        stack.wait_until_ready()
        walk = Walk(stack, folder)
        for kind, text in blocks():
            walk.do(kind, text)
        yield walk


def test_every_digest_gets_its_hardened_value(walk: Walk) -> None:
    """The check of step 4 finds none that was left out."""
    (found,) = [rows for text, rows in walk.answers.items() if "must_be_0" in text]
    assert found == [(0,)]


def test_hardened_digests_verify(walk: Walk) -> None:
    """What the table holds in the end belongs to the users' passwords."""
    rows = query(walk.database, "SELECT id, uuid, hardened, hardened_version FROM users")
    digests = [digest(number) for number, *_ in rows[:20]]
    client = walk.stack.client(timeout_s=60)
    assert all(
        client.verify(uuid.UUID(user), made, stored, version)
        for (_, user, stored, version), made in zip(rows[:20], digests, strict=True)
    )


def test_the_digests_are_gone(walk: Walk) -> None:
    """Neither the column nor the copy is left."""
    assert query(walk.database, "SELECT count(*) FROM users WHERE md5 IS NOT NULL") == [(0,)]
    names = {name for (name,) in query(walk.database, "SELECT name FROM sqlite_master")}
    assert "users_md5_copy" not in names


def test_wrapped_classic_digests_verify_and_are_due(walk: Walk) -> None:
    """The service computes the classic digest by itself, and asks for a fresh value."""
    client = walk.stack.client(timeout_s=60)
    rows = query(walk.database, "SELECT id, uuid, digest FROM members")
    answers = [client.verify(user, f"data {n}", stored) for n, user, stored in rows]
    assert {(answer.valid, answer.needs_update) for answer in answers} == {(True, True)}


def test_django_upgrades_a_user_at_log_in(walk: Walk) -> None:
    """Wrong, right with the hardened digest, wrong, right with the hash that log-in has made."""
    assert json.loads(walk.run(sys.executable, "-c", LOG_IN)) == [False, True, False, True]
    rows = query(walk.database, "SELECT substr(password, 1, 5), hardened FROM users WHERE id = 5")
    assert rows == [("caas$", None)]
