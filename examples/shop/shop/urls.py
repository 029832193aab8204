"""The shop's addresses."""

from __future__ import annotations

from django.urls import path

from shop import views

urlpatterns = [
    path("", views.home, name="home"),
    path("shop.css", views.style, name="style"),
    path("register/", views.register, name="register"),
    path("login/", views.log_in, name="login"),
    path("logout/", views.log_out, name="logout"),
    path("account/", views.account, name="account"),
    path("account/forget/", views.forget, name="forget"),
    path("find/", views.find, name="find"),
    path("database/", views.database, name="database"),
]
