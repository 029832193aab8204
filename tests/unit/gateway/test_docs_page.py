"""The documentation page works alone."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import httpx
import pytest

from caas_tasks.errors import ERRORS_BY_CODE
from caas_tasks.names import Operation
from gateway.docs_page import docs_html

VOID = {"meta"}


class Page(HTMLParser):
    """Collects tags and checks that each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text() -> str:
    return docs_html().decode()


def test_it_loads_nothing_from_elsewhere(text: str) -> None:
    """No address of another host, no script, no image."""
    page = Page(text)
    assert page.open == []
    assert page.links == ["/openapi.json"]
    assert "//" not in text
    assert not page.tags & {"script", "img", "link", "iframe", "form", "object"}


def test_it_shows_every_operation_and_error(text: str) -> None:
    """Paths of single requests and batches, and every code."""
    for operation in Operation:
        assert f"POST /{operation.value}<" in text
        assert f"POST /batch/{operation.value}<" in text
    for code in ERRORS_BY_CODE:
        assert f"<code>{code}</code>" in text


@pytest.mark.anyio
async def test_its_policy_allows_its_style_alone(http: httpx.AsyncClient) -> None:
    """The Content-Security-Policy names the hash of the page's style and nothing else."""
    response = await http.get("/docs")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    style = re.search("<style>(.*?)</style>", response.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "unsafe" not in policy


@pytest.mark.anyio
async def test_it_is_the_same_each_time(http: httpx.AsyncClient) -> None:
    """Made once, served often."""
    assert (await http.get("/docs")).content == (await http.get("/docs")).content
