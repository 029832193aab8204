"""Sealed fields and blind indexes of Django models: what is written, read, moved and refused."""

from __future__ import annotations

import copy
import pickle
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import serializers
from django.core.exceptions import FieldError
from django.db import connection, models, transaction
from django.db.migrations.writer import MigrationWriter
from django.forms import modelform_factory

from producer_client import (
    InvalidRequestError,
    ServiceUnavailableError,
    UndecryptableError,
)
from producer_client.integrations.cells import Cell, PlaintextRefusedError
from producer_client.integrations.django.blind_index import BlindIndexField
from producer_client.integrations.django.fields import (
    SealedBytesField,
    SealedJSONField,
    SealedTextField,
)
from producer_client.integrations.django.rows import open_rows, seal_rows

ADDRESS = "1 Mill Lane"
ANN, BOB = uuid.UUID(int=1), uuid.UUID(int=2)


class Owner(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)

    class Meta:
        app_label = "shop"
        db_table = "plugs_owner"


class Note(models.Model):
    owner = models.ForeignKey(Owner, models.CASCADE)
    text = SealedTextField(user="owner", null=True)
    other = SealedTextField(user="owner", null=True)
    key = SealedBytesField(user="owner", null=True)
    tags = SealedJSONField(user="owner", null=True)
    title = models.TextField(default="", blank=True)
    title_index = BlindIndexField(of="title", null=True)
    text_index = BlindIndexField(of="text", null=True)

    class Meta:
        app_label = "shop"
        db_table = "plugs_note"


@pytest.fixture(scope="module")
def _note_tables(_tables: None) -> Iterator[None]:
    with connection.schema_editor() as editor:
        editor.create_model(Owner)
        editor.create_model(Note)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Note)
        editor.delete_model(Owner)


@pytest.fixture(autouse=True)
def _rows(_note_tables: None, caas: Any) -> Iterator[None]:
    with transaction.atomic():
        Owner.objects.create(id=ANN)
        Owner.objects.create(id=BOB)
        yield
        transaction.set_rollback(True)


def raw(note: Note, column: str = "text") -> Any:
    """What the database holds."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM plugs_note WHERE id = %s", [note.pk])
        return cursor.fetchone()[0]


def put(note: Note, column: str, value: str) -> None:
    """Write to the database past the model."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE plugs_note SET {column} = %s WHERE id = %s", [value, note.pk])


def new_note(owner: uuid.UUID = ANN, **fields: Any) -> Note:
    return Note.objects.create(owner_id=owner, **{"text": ADDRESS, **fields})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", ADDRESS),
        ("text", ""),
        ("text", "Łąka 5/7, 北京\x00"),
        ("key", b"\x00\xff"),
        ("tags", {"a": [1, None, "ü"]}),
    ],
)
def test_a_value_comes_back_as_it_was(field: str, value: Any) -> None:
    """Text, bytes and JSON are read as they were written."""
    note = new_note(**{field: value})
    assert getattr(Note.objects.get(pk=note.pk), field) == value


def test_the_database_holds_a_token() -> None:
    """Nothing of the plaintext is in the row."""
    stored = raw(new_note())
    assert (stored.startswith("caas1."), ADDRESS in stored) == (True, False)


def test_none_stays_null() -> None:
    """No value is no value."""
    assert raw(new_note(text=None)) is None


def test_rows_without_a_value_are_found() -> None:
    """`isnull` is the one lookup that a sealed field has."""
    new_note()
    without = new_note(text=None)
    assert list(Note.objects.filter(text__isnull=True)) == [without]


@pytest.mark.parametrize("lookup", ["text", "text__contains", "text__in", "text__gt"])
def test_a_search_for_a_plaintext_is_refused(lookup: str) -> None:
    """A lookup that could only find nothing is an error, and repeats no value."""
    with pytest.raises(FieldError) as refused:
        Note.objects.filter(**{lookup: ADDRESS}).exists()
    assert ADDRESS not in str(refused.value)


def test_an_update_with_a_plaintext_is_refused() -> None:
    """`update` knows no row's user; it would write plaintext."""
    note = new_note()
    with pytest.raises(PlaintextRefusedError, match="takes no plaintext"):
        Note.objects.filter(pk=note.pk).update(text="plain")


def test_bulk_update_is_refused() -> None:
    """The same of `bulk_update`, which passes values past the field."""
    note = new_note()
    note.text = "plain"
    with pytest.raises(PlaintextRefusedError):
        Note.objects.bulk_update([note], ["text"])


def test_a_token_moved_to_another_users_row_does_not_open() -> None:
    """A value is bound to its row's user."""
    anns, bobs = new_note(ANN), new_note(BOB)
    put(bobs, "text", raw(anns))
    with pytest.raises(UndecryptableError):
        _ = Note.objects.get(pk=bobs.pk).text


def test_a_token_moved_to_another_column_does_not_open() -> None:
    """A value is bound to its column."""
    note = new_note()
    put(note, "other", raw(note))
    with pytest.raises(UndecryptableError):
        _ = Note.objects.get(pk=note.pk).other


@pytest.mark.parametrize("token", ["", "plain", "caas1.", "caas1.AAAA", "caas1.\x00"])
def test_what_is_no_token_does_not_open(token: str) -> None:
    """A row that was tampered with raises a typed error."""
    note = new_note()
    put(note, "text", token)
    with pytest.raises((UndecryptableError, InvalidRequestError)):
        _ = Note.objects.get(pk=note.pk).text


def test_one_bad_row_does_not_keep_the_others_closed() -> None:
    """Rows that are opened together fail one by one."""
    bad, good = new_note(), new_note()
    put(bad, "text", raw(good)[:-6] + "AAAAAA")
    first, second = Note.objects.order_by("pk")
    assert second.text == ADDRESS
    with pytest.raises(UndecryptableError):
        _ = first.text


def test_rows_of_one_query_are_opened_in_one_call(caas: Any) -> None:
    """The first value that is read opens those of the query's other rows."""
    for _ in range(5):
        new_note()
    notes = list(Note.objects.all())
    caas.calls.clear()
    assert ([note.text for note in notes], caas.calls) == ([ADDRESS] * 5, ["open_many"])


def test_a_column_that_is_not_read_is_not_opened(caas: Any) -> None:
    """Reading one field opens no other."""
    note = new_note(other="else")
    caas.calls.clear()
    loaded = Note.objects.get(pk=note.pk)
    assert (loaded.text, caas.calls) == (ADDRESS, ["open"])


def test_rows_of_several_queries_are_opened_together_on_request(caas: Any) -> None:
    """`open_rows` needs one call for them."""
    pks = [new_note().pk for _ in range(3)]
    notes = [Note.objects.get(pk=pk) for pk in pks]
    caas.calls.clear()
    open_rows(notes)
    assert ([note.text for note in notes], caas.calls) == ([ADDRESS] * 3, ["open_many"])


def test_a_row_that_is_saved_unchanged_costs_no_call(caas: Any) -> None:
    """A value that was not read, or read and not changed, keeps its token."""
    note = Note.objects.get(pk=new_note().pk)
    before = raw(note)
    caas.calls.clear()
    note.save(update_fields=["text", "other", "key", "tags"])
    assert (caas.calls, raw(note)) == ([], before)


def test_a_value_that_is_set_to_what_it_was_keeps_its_token() -> None:
    """As forms do with every field that nobody touched."""
    note = Note.objects.get(pk=new_note().pk)
    before = raw(note)
    note.text = note.text
    note.save()
    assert raw(note) == before


def test_a_changed_value_is_sealed_again() -> None:
    """The new plaintext comes back."""
    note = Note.objects.get(pk=new_note().pk)
    note.text = "2 Mill Lane"
    note.save()
    assert Note.objects.get(pk=note.pk).text == "2 Mill Lane"


def test_json_that_is_changed_in_place_is_sealed_again() -> None:
    """A list that grew is another value."""
    note = new_note(tags=["a"])
    loaded = Note.objects.get(pk=note.pk)
    loaded.tags.append("b")
    loaded.save()
    assert Note.objects.get(pk=note.pk).tags == ["a", "b"]


def test_a_row_is_sealed_in_one_call(caas: Any) -> None:
    """Three sealed fields travel in one message."""
    caas.calls.clear()
    new_note(other="b", key=b"c")
    assert caas.calls.count("seal_many") == 1


@pytest.mark.parametrize("is_read_first", [True, False])
def test_a_row_that_is_given_to_another_user_is_sealed_for_that_user(is_read_first: bool) -> None:
    """The value moves with its row, read before or not."""
    note = Note.objects.get(pk=new_note(ANN).pk)
    if is_read_first:
        _ = note.text
    note.owner_id = BOB
    note.save()
    assert Note.objects.get(pk=note.pk).text == ADDRESS


def test_a_row_without_a_user_is_refused() -> None:
    """There is nobody to bind the value to."""
    with pytest.raises(InvalidRequestError):
        Note(text=ADDRESS).save()


@pytest.mark.parametrize(
    ("field", "value"), [("text", b"bytes"), ("key", "text"), ("tags", {1j}), ("text", "\ud800")]
)
def test_a_value_of_another_type_is_refused(field: str, value: Any) -> None:
    """The error names the column's kind and repeats no value."""
    with pytest.raises(InvalidRequestError, match=r"^A sealed \w+ column takes"):
        new_note(**{field: value})


def test_bulk_create_of_sealed_rows_needs_one_message(caas: Any) -> None:
    """`seal_rows` seals them before."""
    notes = [Note(owner_id=ANN, text=str(number)) for number in range(5)]
    caas.calls.clear()
    seal_rows(notes)
    Note.objects.bulk_create(notes)
    seals = [name for name in caas.calls if name.startswith("seal")]
    assert (seals, Note.objects.get(pk=notes[3].pk).text) == (["seal_many"], "3")


def test_a_deferred_value_is_loaded_when_it_is_read() -> None:
    """`defer` works as with other fields."""
    note = new_note()
    assert Note.objects.defer("text", "owner").get(pk=note.pk).text == ADDRESS


def test_refreshing_a_row_reads_the_database_again() -> None:
    """`refresh_from_db` takes the new value."""
    note = new_note()
    again = Note.objects.get(pk=note.pk)
    again.text = "elsewhere"
    again.save()
    note.refresh_from_db()
    assert note.text == "elsewhere"


def test_an_outage_is_no_missing_value(caas: Any) -> None:
    """The error is the service's own, and the value can be read when the service is back."""

    def fail(*_: Any) -> Any:
        raise ServiceUnavailableError

    note = Note.objects.get(pk=new_note().pk)
    caas.stead["open"] = fail
    with pytest.raises(ServiceUnavailableError):
        _ = note.text
    caas.stead.clear()
    assert note.text == ADDRESS


def test_an_opened_row_is_pickled_sealed() -> None:
    """What goes into a cache holds a token, as the database does, and opens again."""
    note = Note.objects.get(pk=new_note().pk)
    _ = note.text
    pickled = pickle.dumps(note)
    assert (ADDRESS.encode() in pickled, pickle.loads(pickled).text) == (False, ADDRESS)


def test_a_copy_of_a_row_is_changed_alone() -> None:
    """Setting a value of a copy leaves the original."""
    note = new_note()
    copy.copy(note).text = "of the copy"
    assert note.text == ADDRESS


def test_values_hold_no_plaintext() -> None:
    """`values_list` gives cells that show nothing."""
    new_note()
    found = Note.objects.values_list("text", flat=True)[0]
    assert (type(found), repr(found)) == (Cell, "Cell(sealed)")


def test_a_dump_is_refused() -> None:
    """A fixture would hold the plaintext."""
    with pytest.raises(TypeError, match="sealed"):
        serializers.serialize("json", [new_note()])


def test_a_model_form_edits_the_plaintext() -> None:
    """A form shows the opened value and saves what was typed."""
    note = new_note()
    form_class = modelform_factory(Note, fields=["text", "tags"])
    shown = form_class(instance=Note.objects.get(pk=note.pk)).initial["text"]
    form = form_class({"text": "typed", "tags": "[1]"}, instance=Note.objects.get(pk=note.pk))
    form.save()
    saved = Note.objects.get(pk=note.pk)
    assert (shown, saved.text, saved.tags) == (ADDRESS, "typed", [1])


def test_a_migration_holds_the_options() -> None:
    """What a field is bound to is part of its definition."""
    text, _ = MigrationWriter.serialize(SealedTextField(user="owner", context="old.name"))
    assert ("user='owner'" in text, "context='old.name'" in text) == (True, True)


def test_a_field_of_another_name_opens_with_the_old_context() -> None:
    """A renamed column keeps its values when the field is told the old name."""
    note = new_note()
    field = SealedTextField(user="owner", context="plugs_note.text")
    field.set_attributes_from_name("renamed")
    field.model = Note
    assert field.sealed_column == Note._meta.get_field("text").sealed_column
    assert note.text == ADDRESS


@pytest.mark.parametrize(("user", "errors"), [("owner", 0), ("title", 1), ("nothing", 1)])
def test_the_check_wants_a_uuid_of_the_row(user: str, errors: int) -> None:
    """`manage.py check` finds a field that is bound to no UUID."""
    field = SealedTextField(user=user)
    field.set_attributes_from_name("checked")
    field.model = Note
    assert [error.id for error in field.check()] == ["caas.E001"] * errors


def test_a_row_is_found_by_its_blind_index() -> None:
    """Case, width and surrounding spaces make no difference."""
    note = new_note(title="Ann@Example.org")
    assert Note.objects.get(title_index__matches="  ann@example.ORG") == note


def test_a_row_is_found_by_the_index_of_a_sealed_field() -> None:
    """The plaintext that is searched for is nowhere in the table."""
    note = new_note(text="ann@example.org")
    new_note(text="bob@example.org")
    assert Note.objects.get(text_index__matches="ann@example.org") == note


def test_no_value_has_no_index() -> None:
    """NULL is not indexed."""
    assert new_note(text=None).text_index is None


def test_an_index_follows_its_field() -> None:
    """A row is found by the new value, and by the old one no more."""
    note = new_note(text="old")
    note.text = "new"
    note.save()
    assert [Note.objects.filter(text_index__matches=value).count() for value in ("old", "new")] == [
        0,
        1,
    ]


def test_a_blind_index_migrates_with_its_options() -> None:
    """What is indexed, and under which name, is part of the definition."""
    text, _ = MigrationWriter.serialize(BlindIndexField(of="text", index="old.name"))
    assert ("of='text'" in text, "index='old.name'" in text) == (True, True)
