"""The Python examples of the README and of docs/ run as they stand, against the real operations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from producer_client import AsyncClient, Client
from producer_client.testing import InMemoryService

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _examples() -> list[tuple[str, int, str]]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [
        (page.relative_to(ROOT).as_posix(), number, match.group(1))
        for page in pages
        for number, match in enumerate(_BLOCK.finditer(page.read_text(encoding="utf-8")))
    ]


def test_the_readme_has_an_example() -> None:
    """The README shows code, so this module checks something."""
    assert any(page == "README.md" for page, _, _ in _examples())


@pytest.mark.parametrize(
    ("page", "number", "code"), _examples(), ids=lambda value: str(value).split("\n", 1)[0][:40]
)
def test_an_example_runs(
    page: str, number: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each example runs to its end; its own assertions hold."""
    service = InMemoryService()
    monkeypatch.setattr(Client, "from_env", classmethod(lambda _: service.client()))
    monkeypatch.setattr(AsyncClient, "from_env", classmethod(lambda _: service.async_client()))
    exec(compile(code, f"{page}[{number}]", "exec", dont_inherit=True), {"__name__": "example"})  # noqa: S102
