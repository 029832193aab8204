"""The example shop in a real browser: service, shop and Chromium as processes of their own."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from rig.process import LoggedProcess  # noqa: E402 - the rig of the integration tests
from rig.service import UpProcess, caas  # noqa: E402 - as above
from rig.stack import free_port  # noqa: E402 - as above

TENANT = "shop"
GUESSES_PER_MINUTE = 3
SLOW_MS = 120_000
VIEWPORT = {"width": 860, "height": 720}
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Shop:
    """A running shop.

    Attributes:
        url: where it answers.
        database: its SQLite file.
    """

    def __init__(self, folder: Path, service: UpProcess) -> None:
        self.database = folder / "shop.sqlite3"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        env: dict[str, str | None] = {
            "CAAS_HOME": str(service.home),
            "SHOP_DATABASE": str(self.database),
            "SHOP_PORT": str(port),
        }
        self.process = LoggedProcess(["examples/shop/start", sys.executable], env)

    def wait_until_ready(self) -> None:
        """Until the shop accepts connections."""
        self.process.wait_for("Quit the server with", deadline_s=SLOW_MS / 1_000)

    def password_of(self, name_index: int = 0) -> str:
        """The stored password of the customer who joined last but `name_index`."""
        with sqlite3.connect(self.database) as connection:
            query = "SELECT password FROM customers ORDER BY joined DESC"
            return str(connection.execute(query).fetchall()[name_index][0])

    def replace_password(self, stored: str) -> None:
        """Give the customer who joined last another stored password, past the shop."""
        with sqlite3.connect(self.database) as connection:
            last = "SELECT id FROM customers ORDER BY joined DESC LIMIT 1"
            connection.execute(f"UPDATE customers SET password = ? WHERE id = ({last})", [stored])


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """`caas up` with few guesses a minute, and the shop beside it."""
    folder = tmp_path_factory.mktemp("shop")
    service = UpProcess(folder / "home")
    started: Shop | None = None
    try:
        service.wait_until_ready()
        limit = ("--guesses-per-minute", str(GUESSES_PER_MINUTE))
        assert caas(service.home, "tenant", "set-limits", TENANT, *limit).returncode == 0
        started = Shop(folder, service)
        started.wait_until_ready()
        yield started
    finally:
        if started is not None:
            started.process.stop()
        service.process.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one that CHROMIUM names."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.fail("Chromium is missing; `make browser` installs it.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, shop: Shop) -> Iterator[BrowserContext]:
    """A browser profile of the test's own."""
    opened = chromium.new_context(base_url=shop.url, viewport=VIEWPORT, locale="en-GB")
    opened.set_default_timeout(SLOW_MS)
    expect.set_options(timeout=SLOW_MS)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must not fail to load anything, and runs no script that complains."""
    complaints: list[str] = []
    opened = context.new_page()
    opened.on("requestfailed", lambda request: complaints.append(request.url))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    assert complaints == []


@pytest.fixture
def screenshots() -> Path | None:
    """Where pictures for the documentation go: the folder that SCREENSHOTS names, or nowhere."""
    folder = os.environ.get("SCREENSHOTS")
    return Path(folder) if folder else None
