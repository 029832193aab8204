"""The keyring source picks a new keystore up within seconds and serves through a bad one."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest

from worker.keyring import Keyring
from worker.keyring_source import CHECK_INTERVAL_S, KeyringSource
from worker.keystore import file
from worker.keystore.document import Keystore
from worker.keystore.errors import KeystoreError

LOGGER = "worker.keyring_source"


@pytest.fixture
def stored(new_keystore: Callable[..., Keystore], identity: Any) -> Keystore:
    return new_keystore(recipients=[str(identity.to_public())])


@pytest.fixture
def paths(tmp_path: Path, stored: Keystore, identity: Any) -> tuple[Path, Path]:
    keystore_path, identity_path = tmp_path / "keystore.age", tmp_path / "identity.txt"
    file.create(keystore_path, stored)
    identity_path.write_text(str(identity))
    return keystore_path, identity_path


@pytest.fixture
def source(paths: tuple[Path, Path], clock: Any) -> KeyringSource:
    return KeyringSource(*paths, clock.monotonic)


def spoil(path: Path, raw: bytes) -> None:
    """Put other content in the keystore's place, as a writer would: by a rename."""
    other = path.with_name("other")
    other.write_bytes(raw)
    other.replace(path)


def grow(paths: tuple[Path, Path], name: str) -> None:
    """Add a tenant to the keystore, as the command line would."""
    file.update(
        paths[0],
        file.load_identities(paths[1]),
        lambda keystore: keystore.changed(
            tenants=(*keystore.tenants, {"name": name, "created_at": 1})
        ),
    )


def tenants(ring: Keyring) -> list[str]:
    return [tenant.name for tenant in ring._keystore.tenants]


def test_looks_at_most_once_a_second(
    paths: tuple[Path, Path], source: KeyringSource, clock: Any
) -> None:
    """A change is seen when a second has passed since the last look, not before."""
    assert CHECK_INTERVAL_S == 1.0
    first = source.current()
    grow(paths, "clinic")
    clock.forward(0.999)
    assert source.current() is first
    clock.forward(0.001)
    assert tenants(source.current()) == ["shop", "clinic"]
    grow(paths, "school")
    clock.forward(0.999)
    assert tenants(source.current()) == ["shop", "clinic"]


def test_reread_looks_at_once(paths: tuple[Path, Path], source: KeyringSource) -> None:
    """A request that names what is not known here does not wait for the next look."""
    grow(paths, "clinic")
    assert tenants(source.reread()) == ["shop", "clinic"]
    assert tenants(source.current()) == ["shop", "clinic"]


def test_reread_of_an_unchanged_file_reads_nothing(
    source: KeyringSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking for what does not exist, however often, makes no worker open its keystore."""
    first = source.current()
    monkeypatch.setattr(file, "load", None)
    assert source.reread() is first


def test_unchanged_file_is_not_read_again(
    source: KeyringSource, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the file stays the same the keyring, with its opened sessions, stays too."""
    first = source.current()
    monkeypatch.setattr(file, "load", None)
    clock.forward(10)
    assert source.current() is first


def test_new_file_is_logged(
    paths: tuple[Path, Path], source: KeyringSource, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says that a new keystore is in use."""
    grow(paths, "clinic")
    clock.forward(1)
    with caplog.at_level(logging.INFO, LOGGER):
        source.current()
    assert caplog.messages == ["keystore reloaded: Keyring(primary=1, api_keys=0)"]


BAD_FILES = {
    "empty": b"",
    "rubbish": b"canary",
    "half written": None,
}


@pytest.mark.parametrize("raw", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_file_leaves_the_last_good_one(
    paths: tuple[Path, Path],
    source: KeyringSource,
    clock: Any,
    caplog: pytest.LogCaptureFixture,
    raw: bytes | None,
) -> None:
    """A bad file is reported once and serves nothing; the next good one is picked up."""
    first, good = source.current(), paths[0].read_bytes()
    spoil(paths[0], good[: len(good) // 2] if raw is None else raw)
    with caplog.at_level(logging.INFO, LOGGER):
        for _ in range(3):
            clock.forward(1)
            assert source.current() is first
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(
        f"keystore not reloaded, the last good one stays in use: keystore {paths[0]}: "
    )
    assert "canary" not in record.getMessage()
    assert record.exc_info is None
    spoil(paths[0], good)
    grow(paths, "clinic")
    clock.forward(1)
    assert tenants(source.current()) == ["shop", "clinic"]


def test_missing_file_leaves_the_last_good_one(
    paths: tuple[Path, Path], source: KeyringSource, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is gone is reported once, and picked up when it is back."""
    first, good = source.current(), paths[0].read_bytes()
    paths[0].unlink()
    with caplog.at_level(logging.ERROR, LOGGER):
        for _ in range(3):
            clock.forward(1)
            assert source.current() is first
    assert len(caplog.records) == 1
    spoil(paths[0], good)
    clock.forward(1)
    assert source.current() is not first


def test_each_bad_file_is_reported(
    paths: tuple[Path, Path], source: KeyringSource, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A second bad file is news again."""
    for raw in (b"", b"rubbish"):
        spoil(paths[0], raw)
        clock.forward(1)
        source.current()
    assert [message.rpartition(": ")[2] for message in caplog.messages] == [
        "the file is empty",
        "does not open with this identity, or the file is damaged",
    ]


def test_file_changed_in_place(paths: tuple[Path, Path], source: KeyringSource, clock: Any) -> None:
    """A file copied over in place, which keeps its name and number, is noticed by its time."""
    first = source.current()
    status = paths[0].stat()
    os.utime(paths[0], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    clock.forward(1)
    assert source.current() is not first


@pytest.mark.parametrize("name", ["keystore.age", "identity.txt"])
def test_first_reading_must_succeed(paths: tuple[Path, Path], clock: Any, name: str) -> None:
    """A worker that cannot read its keystore or identity does not start."""
    (paths[0].parent / name).unlink()
    with pytest.raises(KeystoreError, match="not found"):
        KeyringSource(*paths, clock.monotonic)


def test_one_thread_reads(
    paths: tuple[Path, Path], source: KeyringSource, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one thread reads a new file the others go on with the keyring there is."""
    first = source.current()
    reading, go_on = threading.Event(), threading.Event()
    real_load = file.load

    def slow_load(path: Path, identities: file.Identities) -> Keystore:
        reading.set()
        assert go_on.wait(30)
        return real_load(path, identities)

    monkeypatch.setattr(file, "load", slow_load)
    grow_paths = paths[0].read_bytes()
    spoil(paths[0], grow_paths)
    clock.forward(1)
    found: list[Keyring] = []
    thread = threading.Thread(target=lambda: found.append(source.current()))
    thread.start()
    assert reading.wait(30)
    clock.forward(1)
    assert source.current() is first
    go_on.set()
    thread.join(30)
    assert found[0] is not first
    assert source.current() is found[0]


def test_keystore_for_another_identity_is_tried_again_when_that_comes(
    paths: tuple[Path, Path], source: KeyringSource, clock: Any, stored: Keystore
) -> None:
    """A re-encrypted keystore that came before its identity is picked up with it."""
    new = pyrage.x25519.Identity.generate()
    paths[0].unlink()
    file.create(paths[0], stored.changed(recipients=(str(new.to_public()),)))
    first = source.reread()
    file.write_private(paths[1], str(new).encode())
    assert source.reread() is not first
