"""A password hasher for `PASSWORD_HASHERS`, whose work and keys are the service's.

Django hands a hasher no user, and the service works for a user's UUID. So each stored password has
an identity of its own, a UUID that is written into it and that the guess limit counts by; with
`producer_client.integrations.django.accounts.BoundPasswords` it is the user's own UUID instead.
A stored password is `caas$<identity>$<rest>` and fits Django's column of 128 characters: the
identity is 22 characters of base64url, the rest the service's string without its first part.

What stands in the way of an answer is raised as a `ServiceError` and never passes for a wrong
password: RateLimitedError, ServiceUnavailableError, RequestTimeoutError.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from django.contrib.auth.hashers import BasePasswordHasher, mask_hash
from django.utils.translation import gettext_noop

from caas_tasks.errors import ConfigurationError, InvalidRequestError
from producer_client.inspection import inspect
from producer_client.integrations.shared_client import get_client

ALGORITHM: Final = "caas"
MAX_STORED_CHARS: Final = 128
"""`max_length` of the password column of Django's user models."""

_SCHEME: Final = "$caas-argon2id$"
_OTHER_SALTS: Final = uuid.UUID("7d6d2c53-7c1d-5b0e-9f4c-3e5a1c8f0b6d")
"""Namespace of the identities of salts that are none: any fixed UUID does."""

_user: ContextVar[uuid.UUID | None] = ContextVar("caas_user", default=None)
_due: ContextVar[_Due | None] = ContextVar("caas_due", default=None)


class _Due:
    """Whether a stored password is to be made anew: known once it has been verified.

    Django asks `must_update` before `verify` and looks at the answer after it. The service finds
    out while it verifies, so the answer is this object, and its truth is found by `verify`.
    """

    def __init__(self, encoded: str) -> None:
        self.encoded = encoded
        self.is_due = False

    def __bool__(self) -> bool:
        return self.is_due


@contextmanager
def bound_to(user: uuid.UUID) -> Iterator[None]:
    """Within it, passwords are made and verified for a user's own UUID."""
    token = _user.set(user)
    try:
        yield
    finally:
        _user.reset(token)


class CaasPasswordHasher(BasePasswordHasher):
    """Passwords hashed and verified by the crypto service.

    Put first, users of the hashers after it are upgraded when they log in.
    """

    algorithm = ALGORITHM

    def salt(self) -> str:
        """The identity of a new stored password, in its short form."""
        return short_identity(_user.get() or uuid.uuid4())

    def encode(self, password: str | bytes, salt: str) -> str:
        """The stored form of a password.

        Args:
            salt: as `salt` gives it; another text names an identity too.

        Raises:
            ServiceError: one of its subclasses.
        """
        self._check_encode_args(password, salt)
        identity = _user.get() or _identity_of(salt)
        hashed = get_client().hash_password(identity, _text(password))
        encoded = f"{ALGORITHM}${short_identity(identity)}${hashed.removeprefix(_SCHEME)}"
        if len(encoded) > MAX_STORED_CHARS:
            raise ConfigurationError("The service's password string is too long for Django.")
        return encoded

    def verify(self, password: str | bytes, encoded: str) -> bool:
        """Whether a password is the stored one.

        A password that was stored for another user is wrong, after the same work.

        Raises:
            RateLimitedError: too many guesses; see its `retry_after_s`.
            ServiceError: another of its subclasses; that says nothing about the password.
        """
        identity, hashed = split(encoded)
        user = _user.get()
        if user is not None and user != identity:
            get_client().verify_password(user, _text(password), None)
            return False
        outcome = get_client().verify_password(identity, _text(password), hashed)
        due = _due.get()
        if due is not None and due.encoded == encoded:
            due.is_due = outcome.valid and outcome.needs_update
            _due.set(None)
        return outcome.valid

    def must_update(self, encoded: str) -> _Due:
        """Whether the service has said, when it verified, that a new hash is due."""
        due = _Due(encoded)
        _due.set(due)
        return due

    def harden_runtime(self, password: str | bytes, encoded: str) -> None:
        """Do nothing: the service does the same work for every stored string of its own."""

    def decode(self, encoded: str) -> dict[str, Any]:
        """The parts of a stored password."""
        identity, hashed = split(encoded)
        _, _, salt, digest = hashed.rsplit("$", 3)
        return {"algorithm": ALGORITHM, "identity": identity, "salt": salt, "hash": digest}

    def safe_summary(self, encoded: str) -> dict[str, Any]:
        """What Django's admin may show."""
        parts = self.decode(encoded)
        found = inspect(split(encoded)[1])
        return {
            gettext_noop("algorithm"): found.algorithm,
            gettext_noop("key version"): found.key_version,
            gettext_noop("salt"): mask_hash(parts["salt"]),
            gettext_noop("hash"): mask_hash(parts["hash"]),
        }


def short_identity(identity: uuid.UUID) -> str:
    """An identity in 22 characters of base64url."""
    return base64.urlsafe_b64encode(identity.bytes).rstrip(b"=").decode()


def is_of_service(encoded: str) -> bool:
    """Whether a stored password is one of this hasher, by its look."""
    return encoded.startswith(f"{ALGORITHM}$")


def split(encoded: str) -> tuple[uuid.UUID, str]:
    """The identity of a stored password, and the service's string.

    Raises:
        InvalidRequestError: it isn't one of this hasher.
    """
    algorithm, _, rest = encoded.partition("$")
    short, _, hashed = rest.partition("$")
    identity = _from_short(short)
    if algorithm != ALGORITHM or identity is None or not hashed:
        raise InvalidRequestError("The stored password is not of the expected form.")
    return identity, hashed if hashed.startswith("$") else _SCHEME + hashed


def _identity_of(salt: str) -> uuid.UUID:
    return _from_short(salt) or uuid.uuid5(_OTHER_SALTS, salt)


def _from_short(short: str) -> uuid.UUID | None:
    try:
        identity = uuid.UUID(bytes=base64.b64decode(f"{short}==", b"-_", validate=True))
    except ValueError:
        return None
    return identity if short_identity(identity) == short else None


def _text(password: str | bytes) -> str:
    if isinstance(password, str):
        return password
    text = None
    try:
        text = password.decode()
    except UnicodeDecodeError:
        pass
    if text is None:
        raise InvalidRequestError("A password must be text.")
    return text
