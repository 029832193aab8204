"""Fixtures that test folders share: a keystore made of known randomness, and a sealed world.

A `World` is a service and a client's session without broker, files or a real clock: `ask` seals
items, lets the service answer and opens the reply.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import pyrage
import pytest
from hypothesis import settings

from caas_tasks import envelope
from caas_tasks.encoding import encode_json
from caas_tasks.names import SCOPES, Operation
from worker.keyring import Keyring
from worker.keystore import change
from worker.keystore.document import Keystore, Profile
from worker.service import Service

# A busy machine is no reason for a property to fail.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

NOW_MS = 1_760_000_000_000
MESSAGE_ID = "6f1d7c1e-8f0e-4c55-9d55-1f2f3a4b5c6d"
USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"


class SeededRandom:
    """Randomness that a test can tell in advance; the shape of `secrets`."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def token_bytes(self, nbytes: int, /) -> bytes:
        return self._random.randbytes(nbytes)

    def choice(self, seq: Sequence[str], /) -> str:
        return self._random.choice(seq)


class Clock:
    """A clock that only a test moves; milliseconds and seconds of one time."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.value_ms = now_ms

    def now_ms(self) -> int:
        return self.value_ms

    def monotonic(self) -> float:
        return self.value_ms / 1_000

    def forward(self, seconds: float) -> None:
        self.value_ms += round(seconds * 1_000)


class World:
    """A service over one keystore, and the session of a client that talks to it."""

    def __init__(self, keystore: Keystore | None = None, seed: int = 1) -> None:
        self.random = SeededRandom(seed)
        self.clock = Clock()
        base = keystore or make_keystore(self.random)
        new = change.add_api_key(
            base,
            tenant="shop",
            scopes=SCOPES,
            expires_at=None,
            now_s=NOW_MS // 1_000,
            random=self.random,
        )
        self.api_key = new.text
        self.session = self.new_session(change.public_key(base))
        self.use(new.keystore)

    def use(self, keystore: Keystore) -> None:
        """Go on with another keystore."""
        self.keystore = keystore
        self.keyring = Keyring(keystore)
        self.service = Service(lambda: self.keyring, self.clock.now_ms, self.random.token_bytes)

    def new_session(self, server_key: envelope.ServicePublicKey) -> envelope.ClientSession:
        return envelope.ClientSession.start(server_key, self.random.token_bytes(32))

    def add_api_key(self, **options: Any) -> str:
        """Put one more API key into the keystore; its text."""
        defaults: dict[str, Any] = {"tenant": "shop", "scopes": SCOPES, "expires_at": None}
        new = change.add_api_key(
            self.keystore,
            now_s=NOW_MS // 1_000,
            random=self.random,
            **{**defaults, **options},
        )
        self.use(new.keystore)
        return new.text

    def seal(
        self,
        operation: Operation,
        payload: bytes,
        *,
        message_id: str = MESSAGE_ID,
        expiry_ms: int | None = None,
        session: envelope.ClientSession | None = None,
    ) -> str:
        """A sealed request, with a payload that need not be well formed."""
        return envelope.seal_request(
            session or self.session,
            operation.task_name,
            message_id,
            self.clock.value_ms + 10_000 if expiry_ms is None else expiry_ms,
            payload,
            self.random.token_bytes(12),
        )

    def open(self, operation: Operation, sealed: str, message_id: str = MESSAGE_ID) -> Any:
        """What the client reads in a sealed reply."""
        name = operation.task_name
        return json.loads(envelope.open_reply(self.session.keys, name, message_id, sealed))

    def ask_raw(self, operation: Operation, payload: bytes, **options: Any) -> Any:
        """The opened answer to a payload."""
        sealed = self.service.answer(
            operation, MESSAGE_ID, self.seal(operation, payload, **options)
        )
        return self.open(operation, sealed)

    def ask(
        self, operation: Operation, items: object, *, api_key: object = None, **options: Any
    ) -> Any:
        """The opened answer to items."""
        key = self.api_key if api_key is None else api_key
        return self.ask_raw(operation, encode_json({"apiKey": key, "items": items}), **options)


def make_keystore(
    source: SeededRandom,
    *,
    recipients: Sequence[str] = ("age1unused",),
    profile: Profile = Profile.HARDENED,
    salt_pool: Sequence[str] | None = None,
) -> Keystore:
    """A keystore with one tenant, `shop`, and no API key; passwords cost as little as can be."""
    made = change.new_keystore(
        recipients=recipients,
        tenant="shop",
        profile=profile,
        salt_pool=salt_pool,
        now_s=NOW_MS // 1_000,
        random=source,
    )
    return change.set_password_profile(made, "shop", "cheapest")


@pytest.fixture
def seeded_random() -> SeededRandom:
    return SeededRandom()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keystore(seeded_random: SeededRandom) -> Keystore:
    return make_keystore(seeded_random)


@pytest.fixture(scope="session")
def new_keystore() -> Callable[..., Keystore]:
    """Makes keystores: `new_keystore(recipients=…, profile=…, salt_pool=…, seed=…)`."""

    def make(*, seed: int = 1, **options: Any) -> Keystore:
        return make_keystore(SeededRandom(seed), **options)

    return make


@pytest.fixture(scope="session")
def new_world() -> Callable[..., World]:
    """Makes worlds: `new_world(keystore=…, seed=…)`."""
    return World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def shared_world() -> World:
    """One world for a property test's many examples, none of which changes it."""
    return World()


@pytest.fixture(scope="session")
def identity() -> Any:
    """An age identity, the one that keystore files of these tests open with."""
    return pyrage.x25519.Identity.generate()
