"""An authentication backend that gives nobody away by the guess limit.

Django's own does the work of a hash for a name that doesn't exist, so the time tells nothing. With
a guess limit, being locked out would: only a user who exists has guesses to use up. Here a
name without a user has a budget too.
"""

from __future__ import annotations

import uuid
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from producer_client.integrations.django.blind_index import BlindIndexField
from producer_client.integrations.django.hashers import is_of_service
from producer_client.integrations.shared_client import get_client

_SALT = "caas.absent"


class CaasBackend(ModelBackend):
    """Django's `ModelBackend`, with guesses at every name counted alike, whoever it belongs to.

    That goes for names without a user, and for users whose password another hasher stored.

    `authenticate` raises what the service raises: RateLimitedError when there were too many
    guesses, ServiceUnavailableError or RequestTimeoutError when it can't be asked.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """The user of that name and password, or None.

        Raises:
            ServiceError: one of its subclasses.
        """
        model = get_user_model()
        name = kwargs.get(model.USERNAME_FIELD) if username is None else username
        if name is None or password is None:
            return None
        try:
            user = model._default_manager.get_by_natural_key(name)  # noqa: SLF001 - as Django does
        except model.DoesNotExist:
            user = None
        if user is None or not user.has_usable_password():
            get_client().verify_password(self._absent(name), password, None)
            return None
        if not is_of_service(user.password):
            # Nobody would count guesses at another hasher's string, and who is never locked out
            # would be told apart.
            budget = getattr(user, "caas_user", None) or self._absent(name)
            get_client().verify_password(budget, password, None)
        is_right = user.check_password(password)
        return user if is_right and self.user_can_authenticate(user) else None

    async def aauthenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """`authenticate`, in a thread: it waits for the service."""
        return await sync_to_async(self.authenticate)(request, username, password, **kwargs)

    def canonical_name(self, name: str) -> str:
        """One name for all the spellings that the model's look-up takes for one user.

        Spellings of an absent user share a budget exactly when those of a present one do. With
        fewer or with more in common, who uses up one spelling and tries another would see who
        exists. A blind index says how it normalises; elsewhere Django compares names as they are.
        Override this where the manager or the column's collation finds users otherwise.

        Args:
            name: what was typed in.
        """
        model = get_user_model()
        field = model._meta.get_field(model.USERNAME_FIELD)  # noqa: SLF001 - Django's public name
        return field.normalise(name) if isinstance(field, BlindIndexField) else name

    def _absent(self, name: Any) -> uuid.UUID:
        return absent_user(self.canonical_name(str(name)))


def absent_user(name: str) -> uuid.UUID:
    """The UUID that stands for a canonical name without a user: always the same, nobody else's."""
    digest = salted_hmac(_SALT, name, algorithm="sha256").digest()
    return uuid.UUID(bytes=digest[:16], version=4)
