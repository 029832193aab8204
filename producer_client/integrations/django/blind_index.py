"""A column to find rows by a sealed value: equal values have equal indexes, nothing else shows.

email = SealedTextField(user="id")
email_index = BlindIndexField(of="email", unique=True)

Customer.objects.get(email_index__matches="ann@example.org")
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any, Final

from django.db import models
from django.db.models.lookups import In

from producer_client.inspection import inspect
from producer_client.integrations.cells import Cell
from producer_client.integrations.shared_client import get_client
from producer_client.results import BlindIndex

INDEX_CHARS: Final = 96


def normalised(value: str) -> str:
    """A text without the differences that people don't see: case, width, spaces around it."""
    return unicodedata.normalize("NFKC", value).casefold().strip()


class BlindIndexField(models.CharField):
    """The blind index of another field of the same row, kept up to date when the row is saved.

    Args:
        of: the name of that field, which must stand before this one.
        index: the name that values are indexed under, instead of `table.column` of that field.
        normalise: what a value is brought to first, here and in searches; a module's function.
    """

    def __init__(
        self,
        *args: Any,
        of: str,
        index: str | None = None,
        normalise: Callable[[str], str] = normalised,
        **kwargs: Any,
    ) -> None:
        self.of, self.index, self.normalise = of, index, normalise
        kwargs.update(max_length=INDEX_CHARS, editable=False)
        if not kwargs.get("unique"):
            kwargs.setdefault("db_index", True)
        super().__init__(*args, **kwargs)

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        """The index of the other field's value."""
        value = getattr(model_instance, self.of)
        found = None if value is None else self._index_to_store(value, model_instance)
        setattr(model_instance, self.attname, found)
        return found

    def _index_to_store(self, value: str, instance: Any) -> str:
        indexes = self._indexes(value)
        cell = instance.__dict__.get(self.model._meta.get_field(self.of).attname)  # noqa: SLF001 - Django's API
        version = indexes[0].key_version
        if isinstance(cell, Cell) and cell.token is not None:
            # The primary version: while a newer one is being spread, some workers don't search it.
            version = inspect(cell.token).key_version
        return next((i.index for i in indexes if i.key_version == version), indexes[0].index)

    def candidates(self, value: str) -> list[str]:
        """What the column may hold for a value: its index under every enabled key version.

        Raises:
            ServiceError: one of its subclasses.
        """
        return [found.index for found in self._indexes(value)]

    def _indexes(self, value: str) -> tuple[BlindIndex, ...]:
        column = self.model._meta.get_field(self.of).column  # noqa: SLF001 - Django's API
        name = self.index or f"{self.model._meta.db_table}.{column}"  # noqa: SLF001 - Django's API
        return get_client().blind_index(name, self.normalise(value))

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """Django's hook, for migrations."""
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("max_length", None)
        kwargs.pop("editable", None)
        kwargs["of"] = self.of
        if self.index is not None:
            kwargs["index"] = self.index
        if self.normalise is not normalised:
            kwargs["normalise"] = self.normalise
        return name, path, args, kwargs


@BlindIndexField.register_lookup
class Matches(In):
    """`email_index__matches="ann@example.org"`: rows whose value is that, normalised."""

    lookup_name = "matches"
    rhs: Any

    def get_prep_lookup(self) -> Any:
        """The value's indexes."""
        value: Any = self.rhs
        self.rhs = self.lhs.output_field.candidates(value)
        return super().get_prep_lookup()
