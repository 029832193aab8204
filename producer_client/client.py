"""The client for threads: `Client`."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from caas_tasks.errors import ServiceError
from caas_tasks.names import Operation
from producer_client import wire
from producer_client.jobs import Job, collect
from producer_client.many_calls import ManyCalls
from producer_client.results import (
    BlindIndex,
    Encrypted,
    PasswordVerification,
    Rewrapped,
    Verification,
    Wrapped,
)


class Client(ManyCalls):
    """Calls the crypto service and waits. Thread-safe, fork-safe, a context manager.

    One client serves a whole process: calls of many threads travel together. It connects at its
    first call. Every failure is a `ServiceError`; no call waits longer than its `timeout_s`.

        with Client.from_env() as client:
            stored = client.encrypt(user_uuid, "example sensitive data")
            if client.verify(user_uuid, "example sensitive data", stored.encrypted_data):
                ...
    """

    def encrypt(
        self, user_uuid: str | UUID, data: str, *, timeout_s: float | None = None
    ) -> Encrypted:
        """The value to store for a user's data.

        Args:
            user_uuid: the user's UUID, 8-4-4-4-12.
            data: the sensitive data, at most 64 KiB of UTF-8.
            timeout_s: seconds to wait, instead of the client's own.

        Raises:
            ServiceError: one of its subclasses.
        """
        item = wire.encrypt_item(user_uuid, data)
        return wire.read_encrypted(self._one(Operation.ENCRYPT, item, timeout_s))

    def verify(
        self,
        user_uuid: str | UUID,
        data: str,
        encrypted_data: str,
        key_version: int | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Verification:
        """Whether `data` is what a stored value was made from.

        Args:
            encrypted_data: the stored value: of `encrypt`, of `wrap`, or of the classic service.
            key_version: the version stored beside it; without it every enabled version is tried.

        Raises:
            KeyUnavailableError: the key version is disabled, destroyed or below the minimum.
            ServiceError: another of its subclasses.
        """
        item = wire.verify_item(user_uuid, data, encrypted_data, key_version)
        return wire.read_verification(self._one(Operation.VERIFY, item, timeout_s))

    def candidates(
        self, user_uuid: str | UUID, data: str, *, timeout_s: float | None = None
    ) -> tuple[Encrypted, ...]:
        """The value under every enabled key version, newest first, for `WHERE h IN (…)`.

        Raises:
            ServiceError: one of its subclasses.
        """
        item = wire.encrypt_item(user_uuid, data)
        return wire.read_candidates(self._one(Operation.CANDIDATES, item, timeout_s))

    def blind_index(
        self, field: str, value: str, *, timeout_s: float | None = None
    ) -> tuple[BlindIndex, ...]:
        """A searchable value under every enabled key version, newest first.

        Args:
            field: the name of the column; equal values in two fields have different indexes.
            value: already normalised as the search needs (case, Unicode form).

        Raises:
            ServiceError: one of its subclasses.
        """
        item = wire.blind_index_item(field, value)
        return wire.read_blind_indexes(self._one(Operation.BLIND_INDEX, item, timeout_s))

    def wrap(
        self, user_uuid: str | UUID, legacy_digest: str, *, timeout_s: float | None = None
    ) -> Wrapped:
        """A legacy digest made safe without the data.

        Args:
            legacy_digest: printable ASCII, used as it comes.

        Raises:
            ServiceError: one of its subclasses.
        """
        item = wire.wrap_item(user_uuid, legacy_digest)
        return wire.read_wrapped(self._one(Operation.WRAP, item, timeout_s))

    def hash_password(
        self, user_uuid: str | UUID, password: str, *, timeout_s: float | None = None
    ) -> str:
        """What to store for a user's password: Argon2id under a key that only workers hold.

        Args:
            password: text as it comes, not normalised; at most 64 KiB of UTF-8.

        Returns:
            A string of about 110 characters, at most 256.

        Raises:
            ServiceError: one of its subclasses.
        """
        item = wire.password_item(user_uuid, password)
        return wire.read_hash(self._one(Operation.HASH_PASSWORD, item, timeout_s))

    def verify_password(
        self,
        user_uuid: str | UUID,
        password: str,
        stored_hash: str | None,
        *,
        timeout_s: float | None = None,
    ) -> PasswordVerification:
        """Whether a password is what a stored hash was made from.

        Args:
            stored_hash: of `hash_password`; None for a user who does not exist, which costs the
                same time and is invalid.

        Returns:
            True when valid; with `new_hash`, store it in the old one's place.

        Raises:
            KeyUnavailableError: the hash's key version is disabled or destroyed.
            ServiceError: another of its subclasses.
        """
        item = wire.verify_password_item(user_uuid, password, stored_hash)
        return wire.read_password_verification(
            self._one(Operation.VERIFY_PASSWORD, item, timeout_s)
        )

    def seal(
        self,
        user_uuid: str | UUID,
        plaintext: bytes,
        context: bytes = b"",
        *,
        timeout_s: float | None = None,
    ) -> str:
        """A token that only `open` with the same user and context turns back into the plaintext.

        Args:
            plaintext: at most 64 KiB.
            context: what the token is for, such as a column's name; at most 1 KiB, not secret.

        Raises:
            ServiceError: one of its subclasses.
        """
        item = wire.seal_item(user_uuid, plaintext, context)
        return wire.read_token(self._one(Operation.SEAL, item, timeout_s))

    def open(
        self,
        user_uuid: str | UUID,
        token: str,
        context: bytes = b"",
        *,
        timeout_s: float | None = None,
    ) -> bytes:
        """The plaintext of a token.

        Raises:
            UndecryptableError: the token is not authentic for this user and context.
            KeyUnavailableError: its key version is disabled or destroyed.
            ServiceError: another of its subclasses.
        """
        item = wire.token_item(user_uuid, token, context)
        return wire.read_plaintext(self._one(Operation.OPEN, item, timeout_s))

    def rewrap(
        self,
        user_uuid: str | UUID,
        token: str,
        context: bytes = b"",
        *,
        timeout_s: float | None = None,
    ) -> Rewrapped:
        """A token under the newest key version, without the plaintext leaving the workers.

        Raises:
            UndecryptableError, KeyUnavailableError: as `open`.
            ServiceError: another of its subclasses.
        """
        item = wire.token_item(user_uuid, token, context)
        return wire.read_rewrapped(self._one(Operation.REWRAP, item, timeout_s))

    def submit_encrypt_many(self, pairs: Iterable[tuple[str | UUID, str]]) -> Job:
        """Put `encrypt` for many pairs on the bulk lane, to be collected later, within a day.

        Nothing is lost when a worker or the broker dies, if the broker keeps its data.

        Raises:
            InvalidRequestError: no pairs, or one that is not a UUID and a text.
            PayloadTooLargeError: more than a job may have; split it.
            ServiceUnavailableError: the job could not be written down, no part of it.
        """
        handle, messages = self._prepare_job(pairs)
        self._jobs.enter(messages)
        return Job(self._jobs, handle.to_text(), self._timeout_s)

    def collect(
        self, handle: str, *, timeout_s: float | None = None
    ) -> list[Encrypted | ServiceError]:
        """The results of a job, from any process; may be called again while they are kept.

        Args:
            handle: a job's `handle`.

        Returns:
            Results in the order of the pairs, a failed item in its place as an error object.

        Raises:
            RequestTimeoutError: the job is not done yet.
            InvalidRequestError: not a handle, or the job was cancelled or is over a day old.
            ServiceError: what the job as a whole was refused with.
        """
        return collect(self._jobs, handle, self._deadline(timeout_s))
