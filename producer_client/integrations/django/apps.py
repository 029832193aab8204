"""The Django app of the plug: its templates are found when it is installed."""

from __future__ import annotations

from django.apps import AppConfig


class CaasConfig(AppConfig):
    """`producer_client.integrations.django` in INSTALLED_APPS."""

    name = "producer_client.integrations.django"
    label = "caas"
    verbose_name = "Crypto as a Service"
