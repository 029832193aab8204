"""The shop's one table: a customer of whom the database knows nothing that can be read."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone

from producer_client.integrations.django.accounts import BoundPasswords
from producer_client.integrations.django.blind_index import BlindIndexField
from producer_client.integrations.django.fields import SealedTextField


class CustomerManager(BaseUserManager):
    """Makes customers, and finds them by what they type in."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> Customer:
        """A new customer, saved."""
        customer: Customer = self.model(email=email, **fields)
        customer.set_password(password)
        customer.save(using=self._db)
        return customer

    def get_by_natural_key(self, username: str) -> Customer:
        """The customer of an e-mail address."""
        found: Customer = self.get(email_index__matches=username)
        return found


class Customer(BoundPasswords, AbstractBaseUser):
    """A customer. Name, e-mail and address are sealed; the e-mail is found by its blind index."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = SealedTextField(user="id")
    email_index = BlindIndexField(of="email", unique=True)
    name = SealedTextField(user="id")
    address = SealedTextField(user="id")
    joined = models.DateTimeField(default=timezone.now, editable=False)

    objects = CustomerManager()

    USERNAME_FIELD = "email_index"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ()

    class Meta:
        db_table = "customers"

    def __str__(self) -> str:
        return str(self.pk)
