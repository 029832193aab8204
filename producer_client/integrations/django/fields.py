"""Model fields that are sealed when a row is saved and opened when they are read.

    class Customer(models.Model):
        id = models.UUIDField(primary_key=True, default=uuid.uuid4)
        address = SealedTextField(user="id")

A token is bound to the row's user and to `table.column`. The value of an instance is the plaintext;
a query never is: it takes no plaintext, and finds only `isnull`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

from django import forms
from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models.query_utils import DeferredAttribute

from producer_client.integrations.cells import Batch, Cell, Column, seal_cells, token_of
from producer_client.integrations.codecs import BYTES, JSON, TEXT, Codec

Converter = Callable[[Any, Any, Any], Any]


class SealedAttribute(DeferredAttribute):
    """What stands at the model's class: plaintext outside, a `Cell` in the instance."""

    field: SealedField

    def __get__(self, instance: Any, cls: type | None = None) -> Any:
        found = super().__get__(instance, cls)
        if isinstance(found, Cell):
            return found.read(self.field.user_of(instance))
        return found

    def __set__(self, instance: Any, value: Any) -> None:
        data, name = instance.__dict__, self.field.attname
        if value is None or isinstance(value, Cell):
            data[name] = value
            return
        before = data.get(name)
        if isinstance(before, Cell):
            data[name] = before.replaced_by(value)
        else:
            data[name] = Cell(self.field.sealed_column, value=value)


class SealedField(models.TextField):
    """Base of the sealed fields; the column is a text column.

    Args:
        user: the field of the same row that says whose value it is: a UUID field, or a foreign key
            to a model whose key is one.
        context: what tokens are bound to beside the user, instead of `table.column`. Give the old
            name here when a table or column is renamed.
    """

    descriptor_class = SealedAttribute
    codec: ClassVar[Codec] = TEXT

    def __init__(self, *args: Any, user: str, context: str | None = None, **kwargs: Any) -> None:
        self.user_field = user
        self.context = context
        super().__init__(*args, **kwargs)

    @cached_property
    def sealed_column(self) -> Column:
        """What the cells of this field share."""
        name = self.context or f"{self.model._meta.db_table}.{self.column}"  # noqa: SLF001 - Django's API
        return Column(self.codec, name.encode())

    @cached_property
    def _user_attname(self) -> str:
        attname: str = self.model._meta.get_field(self.user_field).attname  # noqa: SLF001 - Django's API
        return attname

    def user_of(self, instance: Any) -> Any:
        """The UUID of an instance's user, or None."""
        return getattr(instance, self._user_attname)

    def contribute_to_class(self, cls: Any, name: str, **kwargs: Any) -> None:
        """Django's hook; also learns the user of each row that is loaded."""
        super().contribute_to_class(cls, name, **kwargs)
        if not cls._meta.abstract:
            models.signals.post_init.connect(self._bind, sender=cls)

    def _bind(self, instance: Any, **_options: Any) -> None:
        # Noted now, so that a row that is given to another user later still opens.
        cell = instance.__dict__.get(self.attname)
        if isinstance(cell, Cell) and cell.is_unread:
            cell.user = instance.__dict__.get(self._user_attname)

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        """Seal what has changed in the row, all its sealed fields in one message."""
        if self.attname not in model_instance.__dict__:
            getattr(model_instance, self.attname)
        cell = model_instance.__dict__[self.attname]
        if isinstance(cell, Cell):
            seal_cells(
                [(each, field.user_of(model_instance)) for field, each in cells_of(model_instance)]
            )
        return cell

    def get_db_converters(self, connection: Any) -> list[Converter]:
        """One batch a query: its values are opened together."""
        batch, column = Batch(), self.sealed_column

        def convert(value: Any, _expression: Any, _connection: Any) -> Any:
            if value is None:
                return None
            cell = Cell(None, token=value)
            cell.adopt(column, None, batch)
            return cell

        return [convert]

    def get_prep_value(self, value: Any) -> Any:
        """The token; a plaintext is refused."""
        if hasattr(value, "resolve_expression"):
            return value
        return token_of(value)

    def get_lookup(self, lookup_name: str) -> Any:
        """`isnull` alone: two tokens of one plaintext have nothing in common."""
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None

    def value_to_string(self, obj: Any) -> str:
        """Refuse: a dump would hold the plaintext."""
        raise TypeError(f"{self.name} is sealed and is not written to fixtures.")

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """Django's hook, for migrations."""
        name, path, args, kwargs = super().deconstruct()
        kwargs["user"] = self.user_field
        if self.context is not None:
            kwargs["context"] = self.context
        return name, path, args, kwargs

    def check(self, **kwargs: Any) -> list[Any]:
        """Django's hook: `user` must name a UUID of the row."""
        return [*super().check(**kwargs), *self._check_user()]

    def _check_user(self) -> list[Any]:
        try:
            found = self.model._meta.get_field(self.user_field)  # noqa: SLF001 - Django's API
        except FieldDoesNotExist:
            found = None
        target = getattr(found, "target_field", found)
        if isinstance(target, models.UUIDField):
            return []
        hint = "Name a UUIDField, or a ForeignKey to a model whose key is one."
        text = "'user' of a sealed field names no UUID of the row."
        return [checks.Error(text, hint=hint, obj=self, id="caas.E001")]


def cells_of(row: Any) -> list[tuple[SealedField, Cell]]:
    """The sealed fields of an instance that are loaded and not None."""
    found = []
    for field in row._meta.concrete_fields:  # noqa: SLF001 - Django's API
        cell = row.__dict__.get(field.attname)
        if isinstance(field, SealedField) and isinstance(cell, Cell):
            found.append((field, cell))
    return found


class SealedTextField(SealedField):
    """A sealed text."""


class SealedBytesField(SealedField):
    """Sealed bytes."""

    codec = BYTES
    empty_strings_allowed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def to_python(self, value: Any) -> Any:
        """Bytes stay bytes."""
        return value


class SealedJSONField(SealedField):
    """A sealed JSON value. None is no value, as in every field."""

    codec = JSON
    empty_strings_allowed = False

    def to_python(self, value: Any) -> Any:
        """A JSON value stays what it is."""
        return value

    def formfield(self, **kwargs: Any) -> Any:
        """A form field that takes JSON text."""
        return models.Field.formfield(self, **{"form_class": forms.JSONField, **kwargs})
