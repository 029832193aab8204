"""What each operation takes from a row, how it is called, and which fields it gives."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from caas_cli.bulk.chunks import (
    INVALID_REQUEST,
    MISSING_VALUE,
    NOT_UTF8,
    PAYLOAD_TOO_LARGE,
    Entry,
    Outcome,
)
from caas_tasks.encoding import is_uuid
from caas_tasks.errors import ServiceError
from caas_tasks.limits import MAX_DIGEST_CHARS, MAX_ITEM_BYTES
from caas_tasks.names import Field, Operation
from caas_tasks.stored_forms import MAX_TOKEN_CHARS

if TYPE_CHECKING:
    from producer_client import Client

MakeEntry = Callable[[object, object, bytes], Entry | str]
"""From user's UUID, value and context to what is asked, or to the code that the row fails with."""

FAST_ROWS: Final = 500
"""Rows of a chunk of quick operations: one message of the client's own size."""

PASSWORD_ROWS: Final = 32
"""Rows of a chunk of passwords, each some ten milliseconds of a core: as many as the client sends
at a time."""

FAST_TIMEOUT_S: Final = 30.0
"""Seconds that a chunk's answer is waited for before the service counts as away."""

PASSWORD_TIMEOUT_S: Final = 300.0
"""The same for passwords, which queue behind those of users who log in."""


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """One operation over rows.

    Attributes:
        operation: what the service is asked for.
        fields: what it gives; for each the attribute of a result, or what makes it of one.
        default_fields: the columns of an output file when none are chosen.
        takes_context: whether a row has a context beside its value.
        takes_bytes: whether the value is bytes rather than text.
        may_repeat: whether its own result may be its value again, with nothing harmed.
        most_bytes: the longest value, in bytes.
        chunk_rows: most rows that are asked for together.
        chunks_under_way: how many chunks are asked for at a time.
        timeout_s: how long to wait for a chunk's answer.
        call: asks the service: entries and seconds in, results or errors out, in order.
    """

    operation: Operation
    fields: Mapping[str, str | Callable[[Any], object]]
    default_fields: tuple[str, ...]
    call: Callable[[Client, list[Any], float], list[Any]]
    takes_context: bool = False
    takes_bytes: bool = False
    may_repeat: bool = False
    most_bytes: int = MAX_ITEM_BYTES
    chunk_rows: int = FAST_ROWS
    chunks_under_way: int = 8
    timeout_s: float = FAST_TIMEOUT_S

    def reader(self, names: Iterable[str]) -> Callable[[list[Any]], list[Outcome]]:
        """What makes outcomes of results: some of the fields, and of errors their codes."""
        read = _reader([self.fields[name] for name in names])
        return lambda results: [
            result.code if isinstance(result, ServiceError) else read(result) for result in results
        ]

    def entry(self, user_uuid: object, value: object, context: bytes) -> Entry | str:
        """What to ask about a row with cells of any type, or the code that it fails with."""
        if user_uuid is None or value is None:
            return MISSING_VALUE
        if isinstance(user_uuid, UUID):
            user_uuid = str(user_uuid)
        if not isinstance(user_uuid, str):
            return INVALID_REQUEST
        if self.takes_bytes and isinstance(value, str):
            value = _utf8(value)
            if value is None:
                return NOT_UTF8
        if not isinstance(value, bytes if self.takes_bytes else str):
            return INVALID_REQUEST
        return (user_uuid, value, context) if self.takes_context else (user_uuid, value)

    def entry_maker(self, is_base64: bool) -> MakeEntry:
        """What makes entries of cells; the value's cell may be base64."""
        if not is_base64:
            return self.entry

        def make(user_uuid: object, value: object, context: bytes) -> Entry | str:
            return self.entry(user_uuid, from_base64(value), context)

        return make

    def check(self, entry: Entry | str) -> str:
        """The code that a row is sure to fail with, without asking; empty when it may succeed."""
        if isinstance(entry, str):
            return entry
        value = entry[1]
        raw = value if isinstance(value, bytes) else _utf8(value)
        if raw is None or not is_uuid(entry[0]):
            return INVALID_REQUEST
        return PAYLOAD_TOO_LARGE if len(raw) > self.most_bytes else ""


def _reader(
    fields: Sequence[str | Callable[[Any], object]],
) -> Callable[[Any], tuple[object, ...]]:
    names = [field for field in fields if isinstance(field, str)]
    if len(names) == len(fields) > 1:
        return attrgetter(*names)  # several times as fast as what follows
    makers = [attrgetter(field) if isinstance(field, str) else field for field in fields]
    return lambda result: tuple([make(result) for make in makers])


def _utf8(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def from_base64(text: object) -> object:
    """The bytes of a cell in base64 (RFC 4648, section 4); anything else as it came."""
    if not isinstance(text, str):
        return text
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False  # of no type that an operation takes


def _key_version(stored: str) -> int:
    """The key version that a token or a password hash names."""
    from producer_client import inspect

    return inspect(stored).key_version


OPERATIONS: Final[dict[str, BulkOperation]] = {
    "encrypt": BulkOperation(
        operation=Operation.ENCRYPT,
        fields={Field.ENCRYPTED_DATA: "encrypted_data", Field.KEY_VERSION: "key_version"},
        default_fields=(Field.ENCRYPTED_DATA, Field.KEY_VERSION),
        call=lambda client, entries, timeout_s: client.encrypt_many(entries, timeout_s=timeout_s),
    ),
    "wrap": BulkOperation(
        operation=Operation.WRAP,
        fields={Field.WRAPPED: "wrapped", Field.KEY_VERSION: "key_version"},
        default_fields=(Field.WRAPPED, Field.KEY_VERSION),
        call=lambda client, entries, timeout_s: client.wrap_many(entries, timeout_s=timeout_s),
        most_bytes=MAX_DIGEST_CHARS,
    ),
    "rewrap": BulkOperation(
        operation=Operation.REWRAP,
        fields={
            Field.TOKEN: "token",
            Field.CHANGED: "changed",
            Field.KEY_VERSION: lambda result: _key_version(result.token),
        },
        default_fields=(Field.TOKEN,),
        call=lambda client, entries, timeout_s: client.rewrap_many(entries, timeout_s=timeout_s),
        takes_context=True,
        may_repeat=True,
        most_bytes=MAX_TOKEN_CHARS,
    ),
    "seal": BulkOperation(
        operation=Operation.SEAL,
        fields={Field.TOKEN: str, Field.KEY_VERSION: _key_version},
        default_fields=(Field.TOKEN,),
        call=lambda client, entries, timeout_s: client.seal_many(entries, timeout_s=timeout_s),
        takes_context=True,
        takes_bytes=True,
    ),
    "hash-password": BulkOperation(
        operation=Operation.HASH_PASSWORD,
        fields={Field.HASH: str, Field.KEY_VERSION: _key_version},
        default_fields=(Field.HASH,),
        call=lambda client, entries, timeout_s: client.hash_password_many(
            entries, timeout_s=timeout_s
        ),
        chunk_rows=PASSWORD_ROWS,
        chunks_under_way=2,
        timeout_s=PASSWORD_TIMEOUT_S,
    ),
}
"""By the name of its command."""
