"""`caas bulk` over files: runs that are stopped, and a service that is away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from caas_cli.bulk import file_run, pipeline
from caas_cli.bulk.places import Places
from caas_cli.exit_codes import ExitCode
from caas_tasks.errors import RateLimitedError
from producer_client import Client
from producer_client.testing import InMemoryService

USERS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(2_000)]
ROWS = [(str(number), user, f"value {number}") for number, user in enumerate(USERS)]
Run = Callable[..., Result]


@pytest.fixture
def stopped_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, BaseException], None]:
    """Make a run end with an exception when some chunks are settled."""
    real = file_run._Work.settle

    def install(chunks: int, error: BaseException) -> None:
        left = [chunks]

        def settle(work: Any, settled: Any) -> None:
            if not left[0]:
                monkeypatch.setattr(file_run._Work, "settle", real)
                raise error
            left[0] -= 1
            real(work, settled)

        monkeypatch.setattr(file_run._Work, "settle", settle)

    return install


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_interrupted_run_goes_on_where_it_was(
    run: Run, tmp_path: Path, folder: Any, stopped_after: Any, kind: str
) -> None:
    """Ctrl-C, then --resume: the bytes are those of a run that was never stopped."""
    rows = [*ROWS[:700], ("700", "bad", "v"), *ROWS[701:]]
    folder.write("in.csv", rows)
    if kind == "jsonl":
        lines = [{"id": i, "user_uuid": u, "value": v} for i, u, v in rows]
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run("encrypt", f"in.{kind}", f"whole.{kind}")
    stopped_after(2, KeyboardInterrupt())
    stopped = run("encrypt", f"in.{kind}", f"out.{kind}")
    assert (stopped.exit_code, stopped.stderr) == (
        ExitCode.TEMPORARY,
        "caas: stopped; what is done is kept; the same command with --resume goes on\n",
    )
    assert run("encrypt", f"in.{kind}", f"out.{kind}").exit_code == ExitCode.USAGE
    assert run("encrypt", f"in.{kind}", f"out.{kind}", "--resume").exit_code == ExitCode.NEGATIVE
    for name in (kind, f"{kind}.failures.csv"):
        out, whole = tmp_path / f"out.{name}", tmp_path / f"whole.{name}"
        assert out.read_bytes() == whole.read_bytes()


def test_what_stands_behind_the_checkpoint_is_dropped(
    run: Run, tmp_path: Path, folder: Any, stopped_after: Any
) -> None:
    """A kill leaves rows, half a row and half a journal line that no checkpoint counts."""
    folder.write("in.csv", ROWS)
    run("encrypt", "in.csv", "whole.csv")
    stopped_after(2, KeyboardInterrupt())
    run("encrypt", "in.csv", "out.csv")
    half = b'{"rows":1500,"half'
    for name, left in (("part", half), ("failures.csv", b"row,key,code\n1,,nu"), ("journal", half)):
        with (tmp_path / f"out.csv.{name}").open("ab") as file:
            file.write(left)
    assert run("encrypt", "in.csv", "out.csv", "--resume").exit_code == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert folder.names() == {"in.csv", "out.csv", "whole.csv"}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda path: os.utime(path, ns=(1, 1)), "another input, or the input has changed"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "the input has changed"),
    ],
    ids=["time", "size"],
)
def test_another_input_is_not_gone_on_with(
    run: Run, tmp_path: Path, folder: Any, stopped_after: Any, change: Any, text: str
) -> None:
    """Rows would be passed over that were never done."""
    folder.write("in.csv", ROWS)
    stopped_after(2, KeyboardInterrupt())
    run("encrypt", "in.csv", "out.csv")
    change(tmp_path / "in.csv")
    done = run("encrypt", "in.csv", "out.csv", "--resume")
    assert done.exit_code == ExitCode.USAGE
    assert text in done.stderr


def test_other_options_are_not_gone_on_with(run: Run, folder: Any, stopped_after: Any) -> None:
    """An output has one form from its first row to its last."""
    folder.write("in.csv", ROWS)
    stopped_after(2, KeyboardInterrupt())
    run("encrypt", "in.csv", "out.csv")
    done = run("encrypt", "in.csv", "out.csv", "--resume", "--keep", "id")
    assert "was begun with other options" in done.stderr
    done = run("wrap", "in.csv", "out.csv", "--resume")
    assert "is of another operation" in done.stderr


def test_another_api_key_is_not_gone_on_with(
    run: Run, folder: Any, stopped_after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be another tenant's: the output would hold two tenants' values."""
    folder.write("in.csv", ROWS)
    stopped_after(2, KeyboardInterrupt())
    run("encrypt", "in.csv", "out.csv")
    monkeypatch.setenv("CAAS_API_KEY", "another")
    assert "another API key" in run("encrypt", "in.csv", "out.csv", "--resume").stderr


def test_resume_without_a_run_begins_one(run: Run, folder: Any) -> None:
    """A script may always say --resume."""
    folder.write("in.csv")
    assert run("encrypt", "in.csv", "out.csv", "--resume").exit_code == 0
    again = run("encrypt", "in.csv", "out.csv", "--resume")
    assert (again.exit_code, again.stdout) == (0, "finished already\n")


@pytest.mark.parametrize("step", ["replace", "unlink"])
def test_a_run_that_was_killed_at_its_last_step_can_be_finished(
    run: Run, folder: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Between the last checkpoint and the name, and between the name and the journal's end."""
    folder.write("in.csv")
    real = getattr(Path, step)

    def killed(path: Path, *args: Any, **options: Any) -> Any:
        if path.suffix in {".part", ".journal"}:
            monkeypatch.setattr(Path, step, real)
            raise KeyboardInterrupt
        return real(path, *args, **options)

    if step == "unlink":
        monkeypatch.setattr(Places, "clear", lambda _places: None)
    monkeypatch.setattr(Path, step, killed)
    assert run("encrypt", "in.csv", "out.csv").exit_code == ExitCode.TEMPORARY
    assert run("encrypt", "in.csv", "out.csv", "--resume").exit_code == 0
    assert len(folder.read("out.csv")) == 5
    assert folder.names() == {"in.csv", "out.csv"}


def test_two_runs_to_one_output_refuse_each_other(
    run: Run, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second finds the journal locked, whatever it was told."""
    folder.write("in.csv")
    inner: list[Result] = []
    real = pipeline.run

    def meanwhile(*args: Any, **options: Any) -> None:
        monkeypatch.setattr(pipeline, "run", real)
        inner.extend(run("encrypt", "in.csv", "out.csv", f) for f in ("--resume", "--force"))
        real(*args, **options)

    monkeypatch.setattr(pipeline, "run", meanwhile)
    assert run("encrypt", "in.csv", "out.csv").exit_code == 0
    assert [done.exit_code for done in inner] == [ExitCode.UNAVAILABLE] * 2


def test_an_input_that_changes_meanwhile_is_noticed(
    run: Run, tmp_path: Path, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output doesn't get its name."""
    path = folder.write("in.csv")
    real = pipeline.run

    def meanwhile(*args: Any, **options: Any) -> None:
        real(*args, **options)
        os.utime(path, ns=(1, 1))

    monkeypatch.setattr(pipeline, "run", meanwhile)
    assert "was changed while it was read" in run("encrypt", "in.csv", "out.csv").stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_service_that_is_away_stops_the_run_where_it_can_be_resumed(
    run: Run, service: InMemoryService, folder: Any
) -> None:
    """After the patience that was given; nothing is a failure of a row."""
    folder.write("in.csv")
    with service.outage():
        done = run("encrypt", "in.csv", "out.csv", "--patience", "0")
    assert done.exit_code == ExitCode.UNAVAILABLE
    assert "--resume goes on" in done.stderr
    assert run("encrypt", "in.csv", "out.csv", "--resume").exit_code == 0
    assert len(folder.read("out.csv")) == 5


def test_a_refused_api_key_stops_the_run(run: Run, service: InMemoryService, folder: Any) -> None:
    """No row is to blame."""
    folder.write("in.csv")
    service.revoke_api_key(service.api_key)
    assert run("encrypt", "in.csv", "out.csv").exit_code == ExitCode.REFUSED


def test_limited_rows_are_asked_again(
    run: Run, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time that the answer names; the others keep their answers."""
    folder.write("in.csv")
    real = Client.encrypt_many
    asked: list[int] = []

    def limited(client: Client, pairs: Any, **options: Any) -> Any:
        asked.append(len(pairs))
        results = real(client, pairs, **options)
        if len(asked) == 1:
            results[1] = results[3] = RateLimitedError(retry_after_s=0.01)
        return results

    monkeypatch.setattr(Client, "encrypt_many", limited)
    assert run("encrypt", "in.csv", "out.csv").exit_code == 0
    assert (asked, len(folder.read("out.csv"))) == ([5, 2], 5)


def test_a_row_that_stays_limited_fails(
    run: Run, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its wait is over the patience; the others are done."""
    folder.write("in.csv")
    real = Client.encrypt_many

    def limited(client: Client, pairs: Any, **options: Any) -> Any:
        results = real(client, pairs, **options)
        results[1] = RateLimitedError(retry_after_s=86_400)
        return results

    monkeypatch.setattr(Client, "encrypt_many", limited)
    assert run("encrypt", "in.csv", "out.csv").exit_code == ExitCode.NEGATIVE
    assert folder.read("out.csv.failures.csv")[0]["code"] == "rate_limited"


FULL = """
import resource, sys
from caas_cli import requests
from caas_cli.main import main
from producer_client.testing import InMemoryService
service = InMemoryService()
requests.client = lambda home: service.client()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
main()
"""


@pytest.mark.parametrize("room_bytes", [0, 60, 400, 20_000])
def test_a_full_disk_stops_the_run_where_it_can_be_resumed(
    tmp_path: Path, folder: Any, room_bytes: int, run: Run
) -> None:
    """At any point: of the journal, the header, the first rows, the later ones."""
    folder.write("in.csv", ROWS)
    arguments = ["bulk", "encrypt", "in.csv", "out.csv", "--checkpoint-every", "0"]
    environment = {**os.environ, "CAAS_HOME": str(tmp_path / "home"), "CAAS_API_KEY": "k" * 20}
    full = subprocess.run(
        [sys.executable, "-c", FULL, str(room_bytes), *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (full.returncode, "File too large; what is" in full.stderr) == (75, True)
    assert not (tmp_path / "out.csv").exists()
    roomy = subprocess.run(
        [sys.executable, "-c", FULL, str(2**30), *arguments, "--resume"],
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert roomy.returncode == 0
    assert [row["id"] for row in folder.read("out.csv")] == [row[0] for row in ROWS]


def test_an_output_that_may_not_be_written_is_one_line(run: Run, folder: Any) -> None:
    """A folder that takes no files, whoever asks."""
    folder.write("in.csv")
    done = run("encrypt", "in.csv", "/proc/out.csv")
    assert (done.exit_code, done.stderr.count("\n")) == (ExitCode.CONFIGURATION, 1)
