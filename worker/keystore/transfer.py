"""Key versions on their way from one keystore to another (docs/spec.md, section 8).

What an exported file holds, and the rules for taking it in. The file itself is an age file, as a
keystore is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worker.keystore.document import Keystore, KeyVersion, State
from worker.keystore.errors import KeystoreError
from worker.keystore.lifecycle import find

FORMAT: Final = "caas-key-versions"
FORMAT_VERSION: Final = 1


class _Export(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    format: str
    format_version: int
    key_versions: Annotated[tuple[KeyVersion, ...], Field(min_length=1, repr=False)]


def export(keystore: Keystore, versions: Sequence[int]) -> bytes:
    """The JSON of some key versions, secrets included: only ever written inside an age file.

    Args:
        versions: their numbers; none means all that still have their secret.

    Raises:
        KeystoreError: an unknown or a destroyed version, or the same one twice.
    """
    if len(set(versions)) != len(versions):
        raise KeystoreError("a key version is named twice")
    chosen = [find(keystore, number) for number in versions] or [
        record for record in keystore.key_versions if record.state is not State.DESTROYED
    ]
    for record in chosen:
        if record.state is State.DESTROYED:
            raise KeystoreError(f"key version {record.version} is destroyed: its secret is gone")
    exported = _Export(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        # A destruction that is under way here says nothing about the other keystore.
        key_versions=tuple(record.model_copy(update={"destroy_at": None}) for record in chosen),
    )
    return exported.model_dump_json(indent=1, round_trip=True).encode()


def read(raw: bytes) -> tuple[KeyVersion, ...]:
    """The key versions of an exported file's content.

    Raises:
        KeystoreError: not exported key versions, or of a later format version.
    """
    exported: _Export | None = None
    try:
        exported = _Export.model_validate_json(raw)
    except ValidationError:
        pass
    if exported is None or exported.format != FORMAT:
        raise KeystoreError("the file opens, but holds no exported key versions")
    if exported.format_version != FORMAT_VERSION:
        raise KeystoreError("the exported key versions are of a later format: upgrade first")
    return exported.key_versions


def import_versions(keystore: Keystore, records: Sequence[KeyVersion]) -> Keystore:
    """Take in the key versions that the keystore does not have; the primary stays what it is.

    A version that is here already, with the same secret and pools, is left as it is here.

    Raises:
        KeystoreError: a number that is taken by another secret, or was destroyed here.
    """
    known = {record.version: record for record in keystore.key_versions}
    new = [record for record in records if record.version not in known]
    for record in records:
        here = known.get(record.version)
        if here is not None and here.state is State.DESTROYED:
            raise KeystoreError(f"key version {record.version} was destroyed in this keystore")
        if here is not None and _material(here) != _material(record):
            raise KeystoreError(f"key version {record.version} is another one in this keystore")
    if any(record.state is State.DESTROYED for record in new):
        raise KeystoreError("an exported key version lacks its secret")
    merged = sorted((*keystore.key_versions, *new), key=lambda record: record.version)
    return keystore.changed(key_versions=tuple(merged))


def _material(record: KeyVersion) -> tuple[object, ...]:
    return record.profile, record.root, record.cipher_pool, record.salt_pool, record.allow_weak
