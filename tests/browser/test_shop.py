"""The example shop clicked through in Chromium, over `caas up`."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
ADDRESS = "1 Mill Lane\nOldtown"
SALT = "of2019"
ITERATIONS = 1_000


def register(page: Page, email: str) -> None:
    """Fill in the form of a new customer and send it."""
    page.goto("/register/")
    page.get_by_label("Name").fill("Ann Miller")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Delivery address").fill(ADDRESS)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The same password again").fill(PASSWORD)
    page.get_by_role("button", name="Make my account").click()
    expect(page.get_by_role("heading", name="Hello Ann Miller")).to_be_visible()


def log_in(page: Page, email: str, password: str = PASSWORD) -> None:
    """Fill in the form of the log-in and send it."""
    page.goto("/login/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def take(page: Page, folder: Path | None, name: str, *, whole: bool = False) -> None:
    """A picture for the documentation, when pictures are wanted."""
    if folder is not None:
        page.screenshot(path=folder / f"shop-{name}.png", full_page=whole)


def log_out(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in").first).to_be_visible()


def test_a_new_customer_sees_a_sealed_address_opened(page: Page, screenshots: Path | None) -> None:
    """Registering leads to the account, with the address as it was typed."""
    register(page, "register@example.org")
    take(page, screenshots, "account")
    expect(page.locator("#address")).to_have_text("1 Mill LaneOldtown")


def test_the_right_password_logs_in(page: Page) -> None:
    """After logging out the account opens again."""
    register(page, "login@example.org")
    log_out(page)
    log_in(page, "login@example.org")
    expect(page.get_by_role("heading", name="Hello Ann Miller")).to_be_visible()


def test_a_wrong_password_is_told_in_words(page: Page, screenshots: Path | None) -> None:
    """The log-in stays, with one sentence about what was wrong."""
    register(page, "wrong@example.org")
    log_out(page)
    log_in(page, "wrong@example.org", "a wrong guess")
    take(page, screenshots, "wrong-password")
    expect(page.get_by_role("alert")).to_have_text("E-mail address or password is wrong.")


def guess_until_locked(page: Page, email: str, most: int = 12) -> int:
    """Wrong guesses until the page of the locked out comes; how many were looked at."""
    for number in range(most):
        log_in(page, email, f"guess {number}")
        expect(page.get_by_role("alert")).to_be_visible()
        if page.get_by_role("heading", name="Too many attempts").is_visible():
            return number
    raise AssertionError("the guess limit never came")


def test_too_many_guesses_lock_out_and_say_for_how_long(
    page: Page, screenshots: Path | None
) -> None:
    """The page names the wait, and even the right password is not tried meanwhile."""
    register(page, "locked@example.org")
    log_out(page)
    guess_until_locked(page, "locked@example.org")
    log_in(page, "locked@example.org")
    take(page, screenshots, "locked-out")
    expect(page.locator("#wait")).to_have_text(re.compile(r"^\d+ (second|minute)s?$"))


def test_an_unknown_address_is_locked_out_as_well(page: Page) -> None:
    """The guess limit tells nobody which addresses have an account."""
    page.goto("/")
    guess_until_locked(page, "nobody@example.org")
    expect(page.get_by_role("heading", name="Too many attempts")).to_be_visible()


def test_a_customer_is_found_by_e_mail(page: Page, screenshots: Path | None) -> None:
    """Typed in another case, through the blind index."""
    register(page, "found@example.org")
    page.get_by_role("link", name="Find a customer").click()
    page.get_by_label("E-mail").fill("Found@Example.org")
    page.get_by_role("button", name="Find").click()
    take(page, screenshots, "find")
    expect(page.get_by_role("status").get_by_text("Found by")).to_be_visible()


def test_a_changed_address_is_sealed(page: Page, screenshots: Path | None) -> None:
    """The page shows it, the row that a thief would have does not."""
    register(page, "address@example.org")
    page.get_by_label("Delivery address").fill("2 Hill Road")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#address")).to_have_text("2 Hill Road")
    page.get_by_role("link", name="What a thief sees").click()
    take(page, screenshots, "database")
    row = page.get_by_role("table").first.inner_text()
    assert ("Hill Road" in row, row.count("caas1.")) == (False, 3)


def test_a_customer_of_djangos_own_hasher_is_upgraded(page: Page, shop: Any) -> None:
    """A `pbkdf2_sha256` password logs in, and the service's string stands in its place then."""
    register(page, "old@example.org")
    log_out(page)
    digest = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), SALT.encode(), ITERATIONS)
    text = base64.b64encode(digest).decode()
    shop.replace_password(f"pbkdf2_sha256${ITERATIONS}${SALT}${text}")
    log_in(page, "old@example.org")
    expect(page.get_by_role("heading", name="Hello Ann Miller")).to_be_visible()
    assert shop.password_of().startswith("caas$")


def test_a_forgotten_customer_is_gone(page: Page) -> None:
    """The account is deleted after one more question, and its password opens nothing."""
    register(page, "forget@example.org")
    page.get_by_role("link", name="Forget me").click()
    page.get_by_role("button", name="Forget me").click()
    expect(page.get_by_role("status")).to_have_text(re.compile("Your account is gone"))
    log_in(page, "forget@example.org")
    expect(page.get_by_role("alert")).to_have_text("E-mail address or password is wrong.")


def test_the_shop_is_used_by_keyboard(page: Page) -> None:
    """The first stop of the tab key leads past the navigation, and the form follows."""
    page.goto("/login/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
