"""The shop's pages."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.db import connection
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from shop.forms import AddressForm, FindForm, LoginForm, RegisterForm
from shop.models import Customer
from shop.settings import FOLDER

GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])
STYLE = FOLDER / "shop" / "shop.css"
ROWS_SHOWN = 10


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """What the shop sells."""
    return render(request, "shop/home.html")


@require_GET
def style(_request: HttpRequest) -> FileResponse:
    """The style sheet: the one file that pages load."""
    response = FileResponse(STYLE.open("rb"), content_type="text/css; charset=utf-8")
    response["Cache-Control"] = "max-age=60"
    return response


@sensitive_post_parameters()
@GET_OR_POST
def register(request: HttpRequest) -> HttpResponse:
    """A new customer, logged in at once."""
    form = RegisterForm(request.POST or None)
    if form.is_valid():
        customer = form.save()
        if customer is not None:
            login(request, customer)
            messages.success(request, "Your account is made.")
            return redirect("account")
    return render(request, "shop/register.html", {"form": form}, status=_status(form))


@sensitive_post_parameters()
@GET_OR_POST
def log_in(request: HttpRequest) -> HttpResponse:
    """Log in. Too many guesses raise RateLimitedError; the middleware has a page for it."""
    form = LoginForm(request, request.POST or None)
    if form.is_valid():
        login(request, form.customer)
        return redirect("account")
    return render(request, "shop/login.html", {"form": form}, status=_status(form))


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """Log out."""
    logout(request)
    return redirect("home")


@login_required
@GET_OR_POST
def account(request: HttpRequest) -> HttpResponse:
    """The customer's own data, opened; and changed, sealed again."""
    customer = request.user
    form = AddressForm(
        request.POST or None, initial={"name": customer.name, "address": customer.address}
    )
    if form.is_valid():
        customer.name, customer.address = form.cleaned_data["name"], form.cleaned_data["address"]
        customer.save(update_fields=["name", "address"])
        messages.success(request, "Saved.")
        return redirect("account")
    return render(request, "shop/account.html", {"form": form}, status=_status(form))


@login_required
@GET_OR_POST
def forget(request: HttpRequest) -> HttpResponse:
    """Ask once more, then delete the customer's row: nothing of them is left."""
    if request.method == "POST":
        customer = request.user
        logout(request)
        customer.delete()
        messages.success(request, "Your account is gone, and all that was in it.")
        return redirect("home")
    return render(request, "shop/forget.html")


@login_required
@GET_OR_POST
def find(request: HttpRequest) -> HttpResponse:
    """Find a customer by e-mail address, without the database holding one that can be read."""
    form = FindForm(request.POST or None)
    found = None
    if form.is_valid():
        found = Customer.objects.filter(email_index__matches=form.cleaned_data["email"]).first()
    page = {"form": form, "found": found, "has_searched": form.is_bound and form.is_valid()}
    return render(request, "shop/find.html", page, status=_status(form))


@require_GET
def database(request: HttpRequest) -> HttpResponse:
    """The rows of the customers' table as whoever steals the database has them.

    A shop has no such page, of course; this one is there to be looked at.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM customers ORDER BY joined DESC LIMIT %s", [ROWS_SHOWN])
        names = [column[0] for column in cursor.description]
        rows = [list(zip(names, map(str, row), strict=True)) for row in cursor.fetchall()]
    return render(request, "shop/database.html", {"rows": rows})


def _status(form: RegisterForm | LoginForm | AddressForm | FindForm) -> int:
    return 422 if form.is_bound and form.errors else 200
