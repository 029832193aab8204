"""What visitors fill in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import authenticate, password_validation
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from shop.models import Customer

NAME_CHARS = 100
EMAIL_CHARS = 254
ADDRESS_CHARS = 500
PASSWORD_CHARS = 1_000
TAKEN = "There is an account with this e-mail address."


def _email(**attributes: str) -> forms.EmailField:
    widget = forms.EmailInput(attrs={"autocomplete": "email", **attributes})
    return forms.EmailField(label="E-mail", max_length=EMAIL_CHARS, widget=widget)


def _name() -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "name"})
    return forms.CharField(label="Name", max_length=NAME_CHARS, widget=widget)


def _password(label: str, autocomplete: str) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, strip=False, max_length=PASSWORD_CHARS, widget=widget)


def _address() -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 3, "autocomplete": "street-address"})
    return forms.CharField(label="Delivery address", max_length=ADDRESS_CHARS, widget=widget)


class RegisterForm(forms.Form):
    """A new customer."""

    name = _name()
    email = _email()
    address = _address()
    password1 = _password("Password", "new-password")
    password2 = _password("The same password again", "new-password")

    def clean_password1(self) -> str:
        """Refuse passwords that everybody tries first."""
        password: str = self.cleaned_data["password1"]
        password_validation.validate_password(password)
        return password

    def clean(self) -> dict[str, Any]:
        """Refuse an address that has an account, and two different passwords."""
        data: dict[str, Any] = super().clean()
        if "password1" in data and data.get("password2") != data["password1"]:
            self.add_error("password2", "The two passwords differ.")
        email = data.get("email")
        if email and Customer.objects.filter(email_index__matches=email).exists():
            self.add_error("email", TAKEN)
        return data

    def save(self) -> Customer | None:
        """Make the customer; None, and an error in the form, when somebody was faster."""
        data = self.cleaned_data
        try:
            with transaction.atomic():
                return Customer.objects.create_user(
                    data["email"], data["password1"], name=data["name"], address=data["address"]
                )
        except IntegrityError:
            self.add_error("email", TAKEN)
        return None


class LoginForm(forms.Form):
    """Logging in. A wrong password and an unknown address get one answer."""

    email = _email()
    password = _password("Password", "current-password")

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self._request = request
        self.customer: Customer | None = None
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        """Ask the service; raises what it raises, such as RateLimitedError."""
        data: dict[str, Any] = super().clean()
        if "email" in data and "password" in data:
            self.customer = authenticate(
                self._request, username=data["email"], password=data["password"]
            )
            if self.customer is None:
                raise forms.ValidationError("E-mail address or password is wrong.")
        return data


class AddressForm(forms.Form):
    """Changing name and address."""

    name = _name()
    address = _address()


class FindForm(forms.Form):
    """Looking for a customer by e-mail address."""

    email = _email(autocomplete="off")
