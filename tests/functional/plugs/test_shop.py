"""The example shop as a visitor uses it, through Django's test client."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client as Browser
from django.urls import reverse
from shop.models import Customer

from producer_client import (
    KeyUnavailableError,
    PayloadTooLargeError,
    RateLimitedError,
    RequestTimeoutError,
    ServiceError,
    ServiceUnavailableError,
)

PASSWORD = "correct horse battery"
ANN = {
    "name": "Ann Miller",
    "email": "ann@example.org",
    "address": "1 Mill Lane\nOldtown",
    "password1": PASSWORD,
    "password2": PASSWORD,
}
LOGIN = {"email": ANN["email"], "password": PASSWORD}
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


def submit(browser: Browser, page: str, **fields: str) -> Any:
    """Open a page and send its form, as a browser does."""
    token = TOKEN.search(browser.get(reverse(page)).content.decode())
    sent = {**fields, "csrfmiddlewaretoken": token.group(1) if token else ""}
    return browser.post(reverse(page), sent)


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


@pytest.fixture
def ann(browser: Browser) -> Browser:
    """A browser in which Ann has registered, and is logged in."""
    submit(browser, "register", **ANN)
    return browser


@pytest.fixture
def visitor(ann: Browser) -> Browser:
    """A browser of somebody who is not logged in; Ann has an account."""
    return Browser(enforce_csrf_checks=True)


def test_a_visitor_registers_and_sees_the_account(browser: Browser) -> None:
    """Registering logs in and shows name and address, opened."""
    answer = submit(browser, "register", **ANN)
    page = text_of(browser.get(answer["Location"]))
    assert ("Hello Ann Miller" in page, "1 Mill Lane<br>Oldtown" in page) == (True, True)


def test_the_database_holds_nothing_that_can_be_read(ann: Browser) -> None:
    """The page of the thief shows the row, and no plaintext in it."""
    page = text_of(ann.get(reverse("database")))
    shown = [word for word in ("Ann", "ann@example", "Mill", PASSWORD) if word in page]
    assert (shown, page.count("caas1."), "caas$" in page) == ([], 3, True)


def test_the_right_password_logs_in(visitor: Browser) -> None:
    """The account is shown after it."""
    answer = submit(visitor, "login", **LOGIN)
    assert (answer.status_code, answer["Location"]) == (302, reverse("account"))


@pytest.mark.parametrize("email", [ANN["email"], "nobody@example.org"])
def test_a_wrong_password_and_an_unknown_address_get_one_answer(
    visitor: Browser, email: str
) -> None:
    """The page says the same of both."""
    answer = submit(visitor, "login", email=email, password="wrong")
    assert "E-mail address or password is wrong." in text_of(answer)


def test_the_address_of_the_log_in_may_be_written_in_another_way(visitor: Browser) -> None:
    """Case makes no difference to who is meant."""
    assert submit(visitor, "login", **{**LOGIN, "email": "ANN@Example.org"}).status_code == 302


def test_a_customer_of_djangos_own_hasher_is_upgraded_at_log_in(visitor: Browser) -> None:
    """A `pbkdf2_sha256` password logs in and is the service's from then on."""
    old = make_password(PASSWORD, hasher="pbkdf2_sha256")
    Customer.objects.update(password=old)
    submit(visitor, "login", **LOGIN)
    assert Customer.objects.get().password.startswith("caas$")


def test_an_upgraded_customer_logs_in_again(visitor: Browser) -> None:
    """The new string is the same password."""
    Customer.objects.update(password=make_password(PASSWORD, hasher="pbkdf2_sha256"))
    submit(visitor, "login", **LOGIN)
    assert submit(Browser(enforce_csrf_checks=True), "login", **LOGIN).status_code == 302


def test_a_customer_is_found_by_e_mail(ann: Browser) -> None:
    """The blind index leads to the row."""
    page = text_of(submit(ann, "find", email="Ann@example.org"))
    assert str(Customer.objects.get().pk) in page


def test_another_address_finds_nobody(ann: Browser) -> None:
    """The page says so."""
    assert "No customer has" in text_of(submit(ann, "find", email="bob@example.org"))


def test_the_address_is_changed(ann: Browser) -> None:
    """The new one is shown, and nothing of it stands in the row."""
    submit(ann, "account", name="Ann Miller", address="2 Hill Road")
    shown = "2 Hill Road" in text_of(ann.get(reverse("account")))
    assert (shown, "Hill" in text_of(ann.get(reverse("database")))) == (True, False)


def test_a_forgotten_customer_leaves_no_row(ann: Browser) -> None:
    """Deleting is deleting."""
    submit(ann, "forget")
    assert Customer.objects.count() == 0


def test_a_forgotten_customer_is_logged_out(ann: Browser) -> None:
    """The session ends with the account."""
    submit(ann, "forget")
    assert ann.get(reverse("account")).status_code == 302


def test_the_same_address_is_not_registered_twice(ann: Browser) -> None:
    """In whatever case it is typed."""
    page = text_of(submit(ann, "register", **{**ANN, "email": "ANN@example.org"}))
    assert ("There is an account" in page, Customer.objects.count()) == (True, 1)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("password2", "another password", "The two passwords differ."),
        ("password1", "password", "too common"),
        ("email", "no address", "valid email"),
        ("name", "", "required"),
    ],
)
def test_a_form_with_an_error_makes_no_customer(
    browser: Browser, field: str, value: str, error: str
) -> None:
    """The page says what is wrong."""
    page = text_of(submit(browser, "register", **{**ANN, field: value}))
    assert (error in page, Customer.objects.count()) == (True, 0)


@pytest.mark.parametrize("page", ["account", "find", "forget"])
def test_a_page_of_customers_asks_strangers_to_log_in(visitor: Browser, page: str) -> None:
    """There is nothing to see without an account."""
    assert visitor.get(reverse(page))["Location"].startswith(reverse("login"))


@pytest.mark.parametrize("page", ["register", "login", "logout", "account", "forget", "find"])
def test_a_form_of_another_site_is_refused(ann: Browser, page: str) -> None:
    """Without the token of the page nothing is done."""
    assert ann.post(reverse(page), ANN).status_code == 403


def test_logging_out_ends_the_session(ann: Browser) -> None:
    """The account asks for a log-in again."""
    token = TOKEN.search(text_of(ann.get(reverse("account"))))
    ann.post(reverse("logout"), {"csrfmiddlewaretoken": token.group(1) if token else ""})
    assert ann.get(reverse("account")).status_code == 302


def fail_with(caas: Any, error: ServiceError) -> None:
    def fail(*_: Any) -> Any:
        raise error

    caas.stead["verify_password"] = fail


def test_a_locked_out_visitor_is_told_how_long(visitor: Browser, caas: Any) -> None:
    """The page is 429, and says when to come back; so does its header."""
    fail_with(caas, RateLimitedError(retry_after_s=41.2))
    answer = submit(visitor, "login", **LOGIN)
    found = (answer.status_code, answer["Retry-After"], "42 seconds" in text_of(answer))
    assert found == (429, "42", True)


def test_a_locked_out_visitor_is_not_told_whether_the_account_exists(
    visitor: Browser, caas: Any
) -> None:
    """An unknown address gets the same page."""
    fail_with(caas, RateLimitedError(retry_after_s=41.2))
    known, unknown = (
        text_of(submit(visitor, "login", email=email, password="guess"))
        for email in (ANN["email"], "nobody@example.org")
    )
    assert known == unknown


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ServiceUnavailableError(), 503),
        (RequestTimeoutError(), 504),
        (PayloadTooLargeError(), 413),
        (KeyUnavailableError(), 500),
    ],
)
def test_what_the_service_cannot_do_is_a_page_of_its_own(
    visitor: Browser, caas: Any, error: ServiceError, status: int
) -> None:
    """It is no wrong password, and nobody is let in."""
    fail_with(caas, error)
    answer = submit(visitor, "login", **LOGIN)
    assert (answer.status_code, "nobody was let in" in text_of(answer)) == (status, True)


def test_a_program_gets_a_problem_instead_of_a_page(visitor: Browser, caas: Any) -> None:
    """What doesn't accept HTML is answered in JSON."""
    fail_with(caas, RateLimitedError(retry_after_s=3))
    token = TOKEN.search(text_of(visitor.get(reverse("login"))))
    sent = {**LOGIN, "csrfmiddlewaretoken": token.group(1) if token else ""}
    answer = visitor.post(reverse("login"), sent, headers={"Accept": "application/json"})
    assert (answer["Content-Type"], answer.json()["retry_after"]) == ("application/problem+json", 3)


def test_the_plugs_own_pages_do_without_the_app(
    visitor: Browser, caas: Any, settings_without_templates: None
) -> None:
    """Where no template is installed the answer is a line of text."""
    fail_with(caas, RateLimitedError(retry_after_s=3))
    request = {**LOGIN}
    browser = Browser()
    answer = browser.post(reverse("login"), request)
    assert (answer.status_code, answer["Content-Type"]) == (429, "text/plain; charset=utf-8")


@pytest.fixture
def settings_without_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.template import TemplateDoesNotExist

    from producer_client.integrations.django import middleware

    def find_nothing(*_: Any) -> str:
        raise TemplateDoesNotExist("caas")

    monkeypatch.setattr(middleware, "render_to_string", find_nothing)


def test_a_page_loads_nothing_from_elsewhere(ann: Browser) -> None:
    """The policy allows the shop's own style sheet and nothing else."""
    answer = ann.get(reverse("home"))
    assert (
        "default-src 'none'" in answer["Content-Security-Policy"],
        re.findall(r'(?:src|href)="(https?:[^"]*)"', text_of(answer)),
    ) == (True, [])


def test_the_style_sheet_is_served(browser: Browser) -> None:
    """Without a web server in front."""
    answer = browser.get(reverse("style"))
    assert answer["Content-Type"] == "text/css; charset=utf-8"
    answer.close()


def test_every_input_has_a_label(browser: Browser) -> None:
    """Whoever hears the page knows what to fill in."""
    page = text_of(browser.get(reverse("register")))
    inputs = set(re.findall(r'<(?:input|textarea)[^>]* id="(\w+)"', page))
    assert inputs <= set(re.findall(r'<label for="(\w+)"', page))
