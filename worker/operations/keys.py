"""What the operations need of a tenant's keys: read by them, made by `worker.keyring`."""

from __future__ import annotations

from typing import Protocol

from caas_tasks.stored_forms import Argon2Parameters


class VersionKeys(Protocol):
    """What the operations need of one key version."""

    version: int
    is_classic: bool
    select: bytes
    pepper: bytes
    cipher_pool: tuple[str, ...]
    salt_pool: tuple[str, ...]

    @property
    def password(self) -> bytes:
        """`K("password")`, 32 bytes."""

    def index_key(self, field_name: str) -> bytes:
        """The blind-index key of a field, 32 bytes."""

    def seal_key(self, uuid: bytes) -> bytes:
        """`K("seal", uuid)`, 32 bytes."""


class TenantKeys(Protocol):
    """What the operations need of a tenant's keys."""

    @property
    def name(self) -> str:
        """The tenant's name."""

    @property
    def password_parameters(self) -> Argon2Parameters:
        """What new password hashes cost."""

    @property
    def primary(self) -> VersionKeys:
        """The version that makes new values."""

    @property
    def enabled(self) -> tuple[VersionKeys, ...]:
        """Every version whose values are checked, newest first."""

    @property
    def legacy(self) -> tuple[VersionKeys, ...]:
        """The classic versions whose digests may be inside a wrapped value, newest first."""

    def at(self, version: int) -> VersionKeys:
        """The version of that number."""
