"""`caas bulk --table`, from the options to the real operations in memory and a SQLite file."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from caas_cli.bulk import sql_run
from caas_cli.exit_codes import ExitCode
from caas_cli.main import app
from producer_client.testing import InMemoryService

USERS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(1_200)]
DIGEST = "0cc175b9c0f1b6a831c399e269772661"
IN_PLACE = ("--to", "wrapped=password", "--to", "key_version=kv", "--only-null", "kv")
ASIDE = ("--to", "wrapped=wrapped", "--to", "key_version=kv")
Run = Callable[..., Result]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    """The shop's database, with a table of users."""
    monkeypatch.setenv("CAAS_DATABASE_URL", f"sqlite:///{tmp_path}/shop.db")
    made = sa.create_engine(f"sqlite:///{tmp_path}/shop.db")
    fill(made)
    yield made
    made.dispose()


def fill(engine: sa.Engine, count: int = 1_200, table: str = "users") -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, uuid VARCHAR(36), "
                "password VARCHAR(128), age INTEGER, wrapped VARCHAR(128), kv INTEGER, "
                "short VARCHAR(32), doubled INTEGER)"
            )
        )
        connection.execute(
            sa.text(f"INSERT INTO {table} (id, uuid, password) VALUES (:i, :u, :p)"),
            [{"i": n * 3, "u": USERS[n], "p": DIGEST} for n in range(count)],
        )


def query(engine: sa.Engine, text: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(sa.text(text)))


def change(engine: sa.Engine, text: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(text))


@pytest.fixture
def run(service: InMemoryService, engine: sa.Engine) -> Run:
    """Run `caas bulk wrap` over the table."""
    assert service
    assert engine

    def call(*args: str, operation: str = "wrap", table: str = "users") -> Result:
        given = {"--table": table, "--uuid-column": "uuid", "--value-column": "password"}
        options = [part for pair in given.items() if pair[0] not in args for part in pair]
        return CliRunner().invoke(app, ["bulk", operation, *options, *args])

    return call


def wrapped(service: InMemoryService, numbers: list[int]) -> list[str]:
    with service.client() as client:
        pairs = [(USERS[number], DIGEST) for number in numbers]
        return [result.wrapped for result in client.wrap_many(pairs)]


KEY = ("--key-column", "id")


def test_every_row_is_wrapped(run: Run, service: InMemoryService, engine: sa.Engine) -> None:
    """The result stands in its column, the digest where it was."""
    assert run(*KEY, *ASIDE).exit_code == 0
    rows = query(engine, "SELECT wrapped, kv, password FROM users ORDER BY id")
    assert [row[0] for row in rows] == wrapped(service, list(range(1_200)))
    assert {(row[1], row[2]) for row in rows} == {(1, DIGEST)}


def test_values_can_be_written_over(run: Run, service: InMemoryService, engine: sa.Engine) -> None:
    """With a marker beside them; a second run finds nothing left and wraps nothing twice."""
    assert run(*KEY, *IN_PLACE).exit_code == 0
    assert run(*KEY, *IN_PLACE, "--force").exit_code == 0
    (row,) = query(engine, "SELECT password, kv FROM users WHERE id = 3")
    assert row == (*wrapped(service, [1]), 1)


def test_values_are_not_written_over_without_a_marker(run: Run) -> None:
    """A second run would wrap what the first one wrapped."""
    done = run(*KEY, "--to", "wrapped=password")
    assert (done.exit_code, "needs --only-null" in done.stderr) == (ExitCode.USAGE, True)


def test_tokens_may_be_rewrapped_in_their_place(
    run: Run, service: InMemoryService, engine: sa.Engine
) -> None:
    """A second rewrap finds them under the newest version, so no marker is needed."""
    with service.client() as client:
        token = client.seal(USERS[1], b"data")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (id INTEGER PRIMARY KEY, uuid TEXT, k TEXT)"))
        connection.execute(
            sa.text("INSERT INTO t VALUES (1, :uuid, :token)"), {"uuid": USERS[1], "token": token}
        )
    arguments = ("--value-column", "k", "--to", "token=k")
    assert run(*KEY, *arguments, operation="rewrap", table="t").exit_code == 0
    assert query(engine, "SELECT k FROM t") == [(token,)]


def test_a_null_is_left_alone(run: Run, engine: sa.Engine) -> None:
    """A user without a password has nothing to protect."""
    change(engine, "UPDATE users SET password = NULL WHERE id = 6")
    assert run(*KEY, *ASIDE).exit_code == 0
    assert query(engine, "SELECT count(*) FROM users WHERE wrapped IS NULL")[0][0] == 1


def test_a_row_that_fails_is_listed_by_its_key(run: Run, engine: sa.Engine, tmp_path: Path) -> None:
    """It stays as it is, and the exit code tells."""
    change(engine, "UPDATE users SET uuid = 'bad' WHERE id = 9")
    assert run(*KEY, *ASIDE).exit_code == ExitCode.NEGATIVE
    listed = (tmp_path / "users.failures.csv").read_text()
    assert listed == "row,key,code\n4,9,invalid_request\n"


def test_a_row_that_was_changed_meanwhile_keeps_its_change(
    run: Run, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who logged in between question and answer has a fresh value already."""
    real = sql_run._Work.settle

    def settle(work: Any, settled: Any) -> None:
        if settled.chunk.first_row == 1:
            change(engine, "UPDATE users SET password = 'fresh', kv = 7 WHERE id = 9")
            change(engine, "DELETE FROM users WHERE id = 12")
        real(work, settled)

    monkeypatch.setattr(sql_run._Work, "settle", settle)
    assert run(*KEY, *IN_PLACE).exit_code == ExitCode.NEGATIVE
    assert query(engine, "SELECT password, kv FROM users WHERE id = 9") == [("fresh", 7)]
    listed = (tmp_path / "users.failures.csv").read_text()
    assert listed == "row,key,code\n4,9,changed_meanwhile\n5,12,changed_meanwhile\n"


@pytest.mark.parametrize(
    "update",
    [
        f"uuid = '{USERS[1_100]}'",
        "uuid = NULL",
        "short = 'another'",
        "short = NULL",
        "password = 'fresh'",
        "password = NULL",
    ],
)
def test_a_token_is_stored_only_for_the_user_and_context_it_was_made_for(
    run: Run,
    service: InMemoryService,
    engine: sa.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    update: str,
) -> None:
    """Bound to a user or context that the row no longer names, it would never open."""
    change(engine, "ALTER TABLE users ADD COLUMN token TEXT")
    change(engine, "UPDATE users SET short = 'ctx ' || id")
    real = sql_run._Work.settle

    def settle(work: Any, settled: Any) -> None:
        change(engine, f"UPDATE users SET {update} WHERE id = 9")
        real(work, settled)

    monkeypatch.setattr(sql_run._Work, "settle", settle)
    arguments = ("--to", "token=token", "--context-column", "short", "--limit", "5")
    assert run(*KEY, *arguments, operation="seal").exit_code == ExitCode.NEGATIVE
    listed = (tmp_path / "users.failures.csv").read_text()
    assert listed == "row,key,code\n4,9,changed_meanwhile\n"
    tokens = query(engine, "SELECT id, token FROM users WHERE token IS NOT NULL ORDER BY id")
    assert [row[0] for row in tokens] == [0, 3, 6, 12]
    with service.client() as client:
        for number, token in tokens:
            context = f"ctx {number}".encode()
            assert client.open(USERS[number // 3], token, context) == DIGEST.encode()


@pytest.mark.parametrize(("update", "is_stored"), [("kv = 5", True), ("uuid = 'b'", False)])
def test_a_row_without_a_context_column_is_compared_by_its_user(
    run: Run,
    engine: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    update: str,
    is_stored: bool,
) -> None:
    """A column that the run doesn't read may change."""
    real = sql_run._Work.settle

    def settle(work: Any, settled: Any) -> None:
        change(engine, f"UPDATE users SET {update} WHERE id = 9")
        real(work, settled)

    monkeypatch.setattr(sql_run._Work, "settle", settle)
    run(*KEY, "--to", "wrapped=wrapped", "--limit", "5")
    (row,) = query(engine, "SELECT wrapped FROM users WHERE id = 9")
    assert (row[0] is not None) is is_stored


def stop_in(monkeypatch: pytest.MonkeyPatch, place: str, chunk: int) -> None:
    """Make a run end at a chunk, before its transaction or within it."""
    target: Any = {"settle": sql_run._Work, "move": sql_run.SqlCheckpoint}[place]
    real = getattr(target, place)
    left = [chunk]

    def stopping(*args: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            monkeypatch.setattr(target, place, real)
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(target, place, stopping)


@pytest.mark.parametrize("place", ["settle", "move"])
def test_an_interrupted_run_goes_on_where_it_was(
    run: Run,
    service: InMemoryService,
    engine: sa.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """Values written over are wrapped once; failures are listed once."""
    change(engine, "UPDATE users SET uuid = 'bad' WHERE id IN (3, 3000)")
    stop_in(monkeypatch, place, 2)
    stopped = run(*KEY, *IN_PLACE)
    assert (stopped.exit_code, "--resume goes on" in stopped.stderr) == (ExitCode.TEMPORARY, True)
    with (tmp_path / "users.failures.csv").open("a") as file:
        file.write("half a li")
    assert "not finished" in run(*KEY, *IN_PLACE).stderr
    assert run(*KEY, *IN_PLACE, "--resume").exit_code == ExitCode.NEGATIVE
    rows = query(engine, "SELECT password FROM users WHERE id NOT IN (3, 3000) ORDER BY id")
    numbers = [number for number in range(1_200) if number not in {1, 1_000}]
    assert [row[0] for row in rows] == wrapped(service, numbers)
    assert (tmp_path / "users.failures.csv").read_text() == (
        "row,key,code\n2,3,invalid_request\n1001,3000,invalid_request\n"
    )


def test_a_finished_run_is_not_done_again_unasked(run: Run) -> None:
    """--resume finds it finished, and says so with what it came to."""
    run(*KEY, *ASIDE)
    assert "done already" in run(*KEY, *ASIDE).stderr
    assert run(*KEY, *ASIDE, "--resume").stdout == "1,200 rows, 0 failed\n"


def test_a_limited_run_goes_on_with_resume(run: Run, engine: sa.Engine) -> None:
    """Each run does so many rows more."""
    run(*KEY, *ASIDE, "--limit", "700")
    assert query(engine, "SELECT count(*) FROM users WHERE kv = 1")[0][0] == 700
    run(*KEY, *ASIDE, "--limit", "100", "--resume")
    assert query(engine, "SELECT max(id) FROM users WHERE kv = 1")[0][0] == 799 * 3


def test_another_run_of_the_same_kind_ends_this_one(
    run: Run, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint was moved by somebody else: nothing is written behind its back."""
    real = sql_run._Work.settle

    def settle(work: Any, settled: Any) -> None:
        change(engine, "UPDATE caas_bulk_checkpoints SET row_count = row_count + 1")
        real(work, settled)

    monkeypatch.setattr(sql_run._Work, "settle", settle)
    done = run(*KEY, *ASIDE)
    assert (done.exit_code, "another run" in done.stderr) == (ExitCode.UNAVAILABLE, True)
    assert query(engine, "SELECT count(*) FROM users WHERE kv = 1")[0][0] == 0


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((*KEY, "--table", "none", *ASIDE), "no table of the name that --table gives"),
        ((*KEY, "--value-column", "none", *ASIDE), "name that --value-column gives"),
        (("--key-column", "none", *ASIDE), "name that --key-column gives"),
        ((*KEY, "--to", "wrapped=none"), "name that --to gives"),
        ((*KEY, "--only-null", "none", *ASIDE), "name that --only-null gives"),
        (("--key-column", "doubled", *ASIDE), "the key column is not unique"),
        ((*KEY, "--value-column", "age", *ASIDE), "not of a type that holds text"),
        ((*KEY, "--uuid-column", "age", *ASIDE), "not of a type that holds text"),
        ((*KEY, "--to", "wrapped=uuid"), "--to names the key's column"),
        ((*KEY, "--to", "wrapped=wrapped", "--to", "key_version=wrapped"), "one column twice"),
        ((*KEY, "--to", "wrapped=short"), "holds 32 characters; 96 are needed"),
        (KEY, "needs --key-column and at least one --to"),
        (ASIDE, "needs --key-column and at least one --to"),
        ((*KEY, *ASIDE, "--keep", "id"), "are for files"),
    ],
)
def test_what_the_table_does_not_have_is_refused(
    run: Run, engine: sa.Engine, args: tuple[str, ...], text: str
) -> None:
    """In one line, with nothing written."""
    done = run(*args)
    assert done.exit_code == ExitCode.USAGE
    assert text in done.stderr
    assert query(engine, "SELECT count(*) FROM users WHERE wrapped IS NOT NULL")[0][0] == 0


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("nonsense", "is not a SQLAlchemy URL"),
        ("postgresql+psycopg://shop:canary@127.0.0.1:1/x", "driver is not installed"),
        ("sqlite:////no/folder/shop.db", "the database: OperationalError"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str, text: str
) -> None:
    """It repeats nothing of the URL, which may hold a password."""
    monkeypatch.setenv("CAAS_DATABASE_URL", url)
    done = run(*KEY, *ASIDE)
    assert (text in done.stderr, "canary" in done.stderr) == (True, False)


def test_without_a_database_the_setting_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL comes from the environment alone: an argument would stand in the process list."""
    monkeypatch.delenv("CAAS_DATABASE_URL")
    assert run(*KEY, *ASIDE).stderr == "caas: CAAS_DATABASE_URL: is not set.\n"


@pytest.mark.parametrize("kind", ["TEXT", "UUID"])
def test_keys_of_text_and_uuids_work(
    run: Run,
    service: InMemoryService,
    engine: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """The run goes on behind such a key too; SQLite has UUIDs without dashes."""
    keys: Any = [uuid.UUID(user) for user in USERS] if kind == "UUID" else USERS
    column = sa.Uuid() if kind == "UUID" else sa.String(36)
    table = sa.Table(
        "people",
        sa.MetaData(),
        sa.Column("k", column, primary_key=True),
        sa.Column("uuid", sa.Uuid() if kind == "UUID" else sa.String(36)),
        sa.Column("password", sa.Text),
        sa.Column("wrapped", sa.Text),
        sa.Column("kv", sa.Integer),
    )
    table.create(engine)
    with engine.begin() as connection:
        values = [{"k": key, "uuid": key, "password": DIGEST} for key in keys]
        connection.execute(sa.insert(table), values)
    stop_in(monkeypatch, "settle", 2)
    arguments = ("--key-column", "k", *ASIDE)
    run(*arguments, table="people")
    run(*arguments, "--resume", table="people")
    rows = query(engine, "SELECT wrapped FROM people ORDER BY k")
    assert [row[0] for row in rows] == wrapped(service, list(range(1_200)))


def test_a_dry_run_changes_nothing(run: Run, engine: sa.Engine) -> None:
    """Not even the table of checkpoints is made."""
    assert run(*KEY, *ASIDE, "--dry-run").stdout == "1,200 rows, 0 failed\n"
    assert sa.inspect(engine).get_table_names() == ["users"]


def test_contexts_come_from_their_column(
    run: Run, service: InMemoryService, engine: sa.Engine
) -> None:
    """Each token is bound to its row's context."""
    change(engine, "UPDATE users SET short = 'ctx ' || id")
    done = run(
        *KEY, "--to", "token=wrapped", "--context-column", "short", "--limit", "2", operation="seal"
    )
    assert done.exit_code == ExitCode.USAGE  # the column is too short for a token
    change(engine, "CREATE TABLE wide AS SELECT id, uuid, password, short, '' AS t FROM users")
    change(engine, "CREATE UNIQUE INDEX wide_id ON wide (id)")
    arguments = ("--to", "token=t", "--context-column", "short", "--limit", "2")
    assert run(*KEY, *arguments, operation="seal", table="wide").exit_code == 0
    (row,) = query(engine, "SELECT t FROM wide WHERE id = 3")
    with service.client() as client:
        assert client.open(USERS[1], row[0], b"ctx 3") == DIGEST.encode()
