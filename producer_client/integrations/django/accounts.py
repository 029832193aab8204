"""Passwords bound to their user: a stored password that is copied to another row opens nothing."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.models import UserManager

from producer_client.integrations.cells import as_uuid
from producer_client.integrations.django.hashers import bound_to


class BoundPasswords:
    """A mixin for a user model whose primary key is a UUID; put it before Django's base class.

        class Customer(BoundPasswords, AbstractBaseUser):
            id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)

    Passwords are hashed and verified for the user's own UUID, on which all the guesses at this
    user's data draw. Another UUID than the primary key: override `caas_user`.
    """

    pk: Any

    @property
    def caas_user(self) -> uuid.UUID:
        """The UUID that this user's passwords are bound to."""
        return as_uuid(self.pk)

    def set_password(self, raw_password: str | None) -> None:
        """As Django's."""
        django: Any = super()
        with bound_to(self.caas_user):
            django.set_password(raw_password)

    def check_password(self, raw_password: str) -> bool:
        """As Django's.

        Raises:
            ServiceError: one of its subclasses, RateLimitedError among them.
        """
        django: Any = super()
        with bound_to(self.caas_user):
            return bool(django.check_password(raw_password))

    async def acheck_password(self, raw_password: str) -> bool:
        """As Django's.

        Raises:
            ServiceError: one of its subclasses, RateLimitedError among them.
        """
        django: Any = super()
        with bound_to(self.caas_user):
            return bool(await django.acheck_password(raw_password))


class BoundUserManager(UserManager):
    """For a model on Django's `AbstractUser`: its own manager hashes without asking the user."""

    def _create_user_object(
        self, username: str, email: str | None, password: str | None, **extra_fields: Any
    ) -> Any:
        user = super()._create_user_object(username, email, None, **extra_fields)
        user.set_password(password)
        return user
