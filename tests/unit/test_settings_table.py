"""The table of settings, the example file and the settings classes say the same."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from caas_tasks.settings import PREFIX, CaasSettings

ROOT = Path(__file__).resolve().parents[2]
READERS = {
    "worker": "worker",
    "producer_client": "client",
    "gateway": "gateway",
    "caas_cli": "command line",
}
PACKAGES = ("caas_tasks", *READERS)
# These act when they are imported: they build the app for a worker, or run the command line.
ACTS_ON_IMPORT = frozenset({"worker.celery", "caas_cli.__main__", "gateway.__main__"})
# These need the settings of a Django project, and have none of this service's.
PLUG = "producer_client.integrations.django."
ROW = re.compile(r"^\| `(CAAS_[A-Z_]+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
ANY_NAME = re.compile(r"CAAS_[A-Z]+(?:_[A-Z]+)*\b(?!_)")


@dataclass
class Setting:
    """What the classes say of one variable, all readers taken together."""

    readers: set[str] = field(default_factory=set)
    defaults: set[str] = field(default_factory=set)
    is_required: bool = False


def subclasses(base: type[CaasSettings]) -> Iterator[type[CaasSettings]]:
    for settings_class in base.__subclasses__():
        yield settings_class
        yield from subclasses(settings_class)


def import_all() -> None:
    for package in PACKAGES:
        found = importlib.import_module(package)
        for module in pkgutil.walk_packages(found.__path__, f"{package}."):
            if module.name not in ACTS_ON_IMPORT and not module.name.startswith(PLUG):
                importlib.import_module(module.name)


@pytest.fixture(scope="module")
def settings() -> dict[str, Setting]:
    import_all()
    known: dict[str, Setting] = {}
    for settings_class in subclasses(CaasSettings):
        reader = READERS.get(settings_class.__module__.partition(".")[0])
        if reader is None:
            continue
        for name, info in settings_class.model_fields.items():
            setting = known.setdefault(PREFIX + name.upper(), Setting())
            setting.readers.add(reader)
            setting.is_required |= info.is_required()
            if not info.is_required() and info.default is not None:
                setting.defaults.add(f"`{info.default}`")
    return known


@pytest.fixture(scope="module")
def table() -> dict[str, tuple[str, str, str]]:
    text = (ROOT / "docs" / "settings.md").read_text()
    return {
        name: (readers, default, meaning) for name, readers, default, meaning in ROW.findall(text)
    }


def test_table_has_every_setting_and_no_other(
    settings: dict[str, Setting], table: dict[str, tuple[str, str, str]]
) -> None:
    """Each setting of each class has its row in docs/settings.md, and each row its setting."""
    assert sorted(table) == sorted(settings)


def test_table_names_the_readers(
    settings: dict[str, Setting], table: dict[str, tuple[str, str, str]]
) -> None:
    """The table says which parts read a setting."""
    told = {name: set(row[0].split(", ")) for name, row in table.items()}
    assert told == {name: setting.readers for name, setting in settings.items()}


def test_table_gives_the_defaults(
    settings: dict[str, Setting], table: dict[str, tuple[str, str, str]]
) -> None:
    """The table gives a setting's default, or says that it is required."""
    told = {name: {row[1]} for name, row in table.items()}
    real = {
        name: {"required"} if setting.is_required else setting.defaults or {"none"}
        for name, setting in settings.items()
    }
    assert told == real


def test_every_setting_describes_itself() -> None:
    """Each setting's class carries a description, which tools show."""
    import_all()
    silent = [
        f"{settings_class.__name__}.{name}"
        for settings_class in subclasses(CaasSettings)
        for name, info in settings_class.model_fields.items()
        if settings_class.__module__.partition(".")[0] in PACKAGES and not info.description
    ]
    assert silent == []


def test_example_file_names_every_setting(settings: dict[str, Setting]) -> None:
    """`.env.example` has a line for each setting of the classes."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = {line.lstrip("#").partition("=")[0] for line in lines if "=" in line}
    assert set(settings) <= named


def test_no_variable_is_read_or_written_that_the_documentation_leaves_out() -> None:
    """Every `CAAS_` name in the code stands in docs/settings.md and in `.env.example`."""
    code = {
        name
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for name in ANY_NAME.findall(path.read_text())
    }
    documented = set(ANY_NAME.findall((ROOT / "docs" / "settings.md").read_text()))
    example = set(ANY_NAME.findall((ROOT / ".env.example").read_text()))
    assert (code - documented, code - example) == (set(), set())
