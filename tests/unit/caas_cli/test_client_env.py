"""client.env: read, brought up to date, never repeated in an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from caas_cli import client_env
from caas_tasks.errors import ConfigurationError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "client.env"
    file.write_text("# made by hand\nCAAS_API_KEY=key\n\nOTHER=a=b\n")
    return file


def test_values_are_read_with_all_but_the_first_equals_sign(path: Path) -> None:
    """Comments and blank lines are passed over; a value may hold an equals sign."""
    assert client_env.read(path) == {"CAAS_API_KEY": "key", "OTHER": "a=b"}


def test_missing_file_is_empty(tmp_path: Path) -> None:
    """No file is no setting."""
    assert client_env.read(tmp_path / "client.env") == {}


def test_malformed_line_is_named_by_its_number(path: Path) -> None:
    """The error says which line, and not what it holds."""
    path.write_text("CAAS_API_KEY=key\nsecret\n")
    with pytest.raises(ConfigurationError, match=r"client\.env: line 2 is not KEY=value$"):
        client_env.read(path)


def test_file_that_is_no_text_is_refused(path: Path) -> None:
    """Binary content is a typed error."""
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        client_env.read(path)


def test_change_keeps_the_other_settings(path: Path) -> None:
    """Only what changed is changed."""
    client_env.write_changed(path, {"OTHER": "c"})
    assert client_env.read(path) == {"CAAS_API_KEY": "key", "OTHER": "c"}


def test_changed_file_is_private(path: Path) -> None:
    """What is written can be read by its owner alone."""
    client_env.write_changed(path, {"OTHER": "c"})
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_when_nothing_changes(path: Path) -> None:
    """A file that is up to date stays as it is, comments included."""
    before = path.read_bytes()
    assert (client_env.write_changed(path, {"OTHER": "a=b"}), path.read_bytes()) == (False, before)


def test_environment_wins_over_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting of the environment is taken first."""
    monkeypatch.setenv("CAAS_API_KEY", "from the environment")
    assert client_env.setting(path, "CAAS_API_KEY") == "from the environment"


def test_missing_setting_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither there nor here: the error says what and where."""
    monkeypatch.delenv("CAAS_SERVER_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="CAAS_SERVER_KEY: not set"):
        client_env.setting(path, "CAAS_SERVER_KEY")
