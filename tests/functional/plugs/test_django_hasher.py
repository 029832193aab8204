"""Django's password functions and log-in over the service, in the example shop."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import check_password, identify_hasher, make_password
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.test import override_settings
from shop.models import Customer

from producer_client import (
    InvalidRequestError,
    PasswordVerification,
    RateLimitedError,
    ServiceUnavailableError,
)
from producer_client.integrations.django.accounts import BoundPasswords, BoundUserManager
from producer_client.integrations.django.backends import CaasBackend, absent_user
from producer_client.integrations.django.hashers import CaasPasswordHasher, bound_to, split

PASSWORD = "correct horse battery"
EMAIL = "ann@example.org"


def new_customer(password: str | None = PASSWORD, email: str = EMAIL) -> Customer:
    return Customer.objects.create_user(email, password, name="Ann", address="1 Mill Lane")


def test_a_password_is_stored_as_the_services_string_and_fits_djangos_column(caas: Any) -> None:
    """The stored form names the hasher and has room in 128 characters."""
    encoded = make_password(PASSWORD)
    assert (encoded[:5], len(encoded) <= 128) == ("caas$", True)


def test_the_right_password_is_right(caas: Any) -> None:
    """What was made from a password is verified by it."""
    assert check_password(PASSWORD, make_password(PASSWORD))


def test_a_wrong_password_is_wrong(caas: Any) -> None:
    """Another password is False, not an error."""
    assert not check_password("another", make_password(PASSWORD))


def test_two_stored_passwords_have_two_identities(caas: Any) -> None:
    """Guesses at one stored password are not counted against another."""
    first, second = (split(make_password(PASSWORD))[0] for _ in range(2))
    assert first != second


def test_a_salt_of_the_callers_names_an_identity(caas: Any) -> None:
    """`make_password(password, salt)` works with any text, and the same text is the same one."""
    first, second = (split(make_password(PASSWORD, salt="of mine"))[0] for _ in range(2))
    assert first == second


def test_bytes_are_taken_as_text(caas: Any) -> None:
    """Django allows a password of bytes."""
    assert check_password(PASSWORD, make_password(PASSWORD.encode()))


def test_bytes_that_are_no_text_are_refused(caas: Any) -> None:
    """What can't be a text is a typed error that repeats nothing of it."""
    with pytest.raises(InvalidRequestError, match=r"^A password must be text\.$"):
        make_password(b"\xff\xfe")


@pytest.mark.parametrize("stored", ["caas$", "caas$x$y", "caas$AAAAAAAAAAAAAAAAAAAAAA$"])
def test_a_stored_form_that_is_none_is_an_error(caas: Any, stored: str) -> None:
    """A damaged row is not a wrong password."""
    with pytest.raises(InvalidRequestError):
        check_password(PASSWORD, stored)


def test_what_the_admin_shows_holds_no_hash(caas: Any) -> None:
    """`safe_summary` masks salt and hash."""
    encoded = make_password(PASSWORD)
    digest = encoded.rsplit("$", 1)[1]
    shown = str(identify_hasher(encoded).safe_summary(encoded))
    assert (digest[6:] in shown, "Argon2id" in shown) == (False, True)


def test_a_user_of_another_hasher_is_upgraded_at_log_in(database: None) -> None:
    """A `pbkdf2_sha256` password becomes the service's when its owner logs in."""
    customer = new_customer()
    old = make_password(PASSWORD, hasher="pbkdf2_sha256")
    Customer.objects.filter(pk=customer.pk).update(password=old)
    authenticate(None, username=EMAIL, password=PASSWORD)
    stored = Customer.objects.get(pk=customer.pk).password
    assert (stored[:5], check_password(PASSWORD, stored)) == ("caas$", True)


def test_a_wrong_password_of_another_hasher_upgrades_nothing(database: None) -> None:
    """The old string stays until the right password comes."""
    customer = new_customer()
    old = make_password(PASSWORD, hasher="pbkdf2_sha256")
    Customer.objects.filter(pk=customer.pk).update(password=old)
    authenticate(None, username=EMAIL, password="wrong")
    assert Customer.objects.get(pk=customer.pk).password == old


def test_a_hash_that_is_due_is_made_anew_at_log_in(database: None, caas: Any) -> None:
    """`needs_update` of the service is Django's `must_update`, at the same log-in."""
    before = new_customer().password
    caas.stead["verify_password"] = lambda *_: PasswordVerification(True, True, "unused")
    authenticate(None, username=EMAIL, password=PASSWORD)
    assert Customer.objects.get(email_index__matches=EMAIL).password != before


def test_a_hash_that_is_not_due_stays(database: None) -> None:
    """An ordinary log-in writes no password."""
    before = new_customer().password
    authenticate(None, username=EMAIL, password=PASSWORD)
    assert Customer.objects.get(email_index__matches=EMAIL).password == before


def test_a_wrong_password_is_never_a_reason_to_update(database: None, caas: Any) -> None:
    """What one verification said does not reach the next."""
    before = new_customer().password
    caas.stead["verify_password"] = lambda *_: PasswordVerification(False, False)
    authenticate(None, username=EMAIL, password="wrong")
    assert Customer.objects.get(email_index__matches=EMAIL).password == before


@pytest.mark.parametrize("error", [RateLimitedError(retry_after_s=42.0), ServiceUnavailableError()])
def test_what_the_service_cannot_answer_is_raised(
    database: None, caas: Any, error: Exception
) -> None:
    """Locked out and not reachable are told apart from a wrong password."""

    def fail(*_: Any) -> Any:
        raise error

    new_customer()
    caas.stead["verify_password"] = fail
    with pytest.raises(type(error)):
        authenticate(None, username=EMAIL, password=PASSWORD)


@pytest.mark.parametrize("password", ["wrong", PASSWORD])
def test_an_absent_user_costs_what_a_present_one_does(
    database: None, caas: Any, password: str
) -> None:
    """One look into the index and one verification, whether there is such a customer or not."""
    new_customer()
    asked = []
    for email in (EMAIL, "nobody@example.org"):
        caas.calls.clear()
        authenticate(None, username=email, password=password)
        asked.append(list(caas.calls))
    assert asked == [["blind_index", "verify_password"]] * 2


def test_djangos_own_backend_does_the_same_work_for_an_absent_user(caas: Any) -> None:
    """Django hashes for a name without a user; that reaches the service as one password hash."""
    Customer().set_password(PASSWORD)
    assert caas.calls == ["hash_password"]


def test_guesses_at_an_absent_user_are_counted_for_one_identity(database: None, caas: Any) -> None:
    """The guess limit locks a name without a user too, so it tells nothing about who exists."""
    asked = []
    caas.stead["verify_password"] = lambda user, *_: (
        asked.append(user) or PasswordVerification(False, False)
    )
    for _ in range(2):
        authenticate(None, username="nobody@example.org", password="guess")
    assert asked == [absent_user("nobody@example.org")] * 2


def test_spellings_of_one_name_share_a_budget_whether_it_exists_or_not(
    database: None, caas: Any
) -> None:
    """Who is locked out under one spelling and tries another learns nothing about who exists."""
    customer = new_customer()
    asked = []
    caas.stead["verify_password"] = lambda user, *_: (
        asked.append(user) or PasswordVerification(False, False)
    )
    for name in (EMAIL, "nobody@example.org"):
        for spelling in (name, name.upper(), f" {name} ", name.replace("n", "\uff4e")):
            authenticate(None, username=spelling, password="guess")
    assert asked == [customer.pk] * 4 + [absent_user("nobody@example.org")] * 4


@override_settings(AUTH_USER_MODEL="auth.User")
def test_names_that_are_looked_up_as_they_are_stay_apart() -> None:
    """Django's own users `ann` and `ANN` are two, so an absent one's spellings are too."""
    assert CaasBackend().canonical_name("ANN") == "ANN"


def test_guesses_at_another_hashers_string_are_counted(database: None, caas: Any) -> None:
    """They draw on the user's own budget, so such a user is locked out like every other."""
    customer = new_customer()
    old = make_password(PASSWORD, hasher="pbkdf2_sha256")
    Customer.objects.filter(pk=customer.pk).update(password=old)

    def fail(user: uuid.UUID, *_: Any) -> Any:
        assert user == customer.pk
        raise RateLimitedError

    caas.stead["verify_password"] = fail
    with pytest.raises(RateLimitedError):
        authenticate(None, username=EMAIL, password="guess")


def test_a_user_without_a_usable_password_looks_absent(database: None, caas: Any) -> None:
    """An account that nobody can log in to is not told apart either."""
    new_customer(password=None)
    caas.calls.clear()
    found = authenticate(None, username=EMAIL, password=PASSWORD)
    assert (found, caas.calls) == (None, ["blind_index", "verify_password"])


def test_a_password_copied_from_another_users_row_opens_nothing(database: None) -> None:
    """Who can write to the table still can't log in as somebody else with a password of his own."""
    victim = new_customer()
    thief = new_customer("the thief's own words", "thief@example.org")
    Customer.objects.filter(pk=victim.pk).update(password=thief.password)
    assert authenticate(None, username=EMAIL, password="the thief's own words") is None


def test_a_copied_password_costs_a_verification_too(database: None, caas: Any) -> None:
    """A row that was tampered with is not told apart by the time it takes."""
    victim, other = new_customer(), make_password(PASSWORD)
    Customer.objects.filter(pk=victim.pk).update(password=other)
    caas.calls.clear()
    authenticate(None, username=EMAIL, password=PASSWORD)
    assert caas.calls == ["blind_index", "verify_password"]


def test_a_bound_password_has_the_users_own_identity(database: None) -> None:
    """Guesses count for the user, whatever operation they go through."""
    customer = new_customer()
    assert split(customer.password)[0] == customer.pk


def test_the_binding_ends_with_its_block(caas: Any) -> None:
    """A password that is made afterwards is not the user's."""
    user = uuid.uuid4()
    with bound_to(user):
        inside = split(make_password(PASSWORD))[0]
    assert (inside, split(make_password(PASSWORD))[0] == user) == (user, False)


def test_an_asynchronous_log_in_asks_the_same(database: None, caas: Any) -> None:
    """`acheck_password` is bound to the user as well."""
    customer = new_customer()
    assert asyncio.run(customer.acheck_password(PASSWORD))


def test_djangos_user_manager_binds_as_well(caas: Any) -> None:
    """A model on `AbstractUser` gets bound passwords through the manager of the plug."""

    class Member(BoundPasswords, AbstractUser):
        id = models.UUIDField(primary_key=True, default=uuid.uuid4)
        groups = None
        user_permissions = None
        objects = BoundUserManager()

        class Meta:
            app_label = "shop"

    member = Member.objects._create_user_object("ann", EMAIL, PASSWORD)
    assert split(member.password)[0] == member.pk


@override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"])
def test_the_shop_works_without_the_hasher_too(database: None) -> None:
    """The mixin changes nothing for hashers that know no binding."""
    new_customer()
    assert authenticate(None, username=EMAIL, password=PASSWORD) is not None


def test_harden_runtime_asks_nothing(caas: Any) -> None:
    """The service's work is the same for every string of its own."""
    CaasPasswordHasher().harden_runtime(PASSWORD, make_password(PASSWORD))
    assert caas.calls == ["hash_password"]
