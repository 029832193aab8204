"""Passwords: the keyed prehash, Argon2id's costs and their caps, and when a new hash is due."""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from collections.abc import Callable
from typing import Any

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caas_tasks.encoding import uuid_bytes
from caas_tasks.errors import InvalidRequestError, KeyUnavailableError, ServiceUnavailableError
from caas_tasks.names import Operation
from caas_tasks.stored_forms import PASSWORD_PROFILES, Argon2Parameters, parse_password_hash
from worker.operations import password
from worker.operations.derivation import derive
from worker.operations.means import Means, PasswordRoom

UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
OTHER_UUID = "00000000-0000-4000-8000-000000000001"
PASSWORD = "correct horse battery staple"


@pytest.fixture
def new_hash(run: Any) -> Callable[..., str]:
    """Hashes a password: `new_hash(keys, password=…, user=…)`."""

    def make(keys: Any, text: str = PASSWORD, user: str = UUID) -> str:
        answer = run(Operation.HASH_PASSWORD, keys, userUUID=user, password=text)
        assert answer.keys() == {"hash"}
        stored: str = answer["hash"]
        return stored

    return make


@pytest.fixture
def verify(run: Any) -> Callable[..., dict[str, Any]]:
    """Verifies a password: `verify(keys, stored, password=…, user=…)`."""

    def check(keys: Any, stored: str | None, text: str = PASSWORD, user: str = UUID,
              means: Means | None = None) -> dict[str, Any]:  # fmt: skip
        fields = {"userUUID": user, "password": text}
        if stored is not None:
            fields["hash"] = stored
        answer: dict[str, Any] = run(Operation.VERIFY_PASSWORD, keys, means, **fields)
        return answer

    return check


RIGHT = {"valid": True, "needs_update": False}
WRONG = {"valid": False, "needs_update": False}


def test_hash_by_hand(keys_of: Any, run: Any) -> None:
    """A hash is Argon2id over the keyed prehash, as the published library makes it."""
    salt = bytes(range(16))
    answer = run(
        Operation.HASH_PASSWORD,
        keys_of(2, primary=2),
        Means({16: salt}.__getitem__),
        userUUID=UUID,
        password=PASSWORD,
    )
    key = derive(bytes([2]) * 32, "shop", "password")
    secret = hmac.new(key, uuid_bytes(UUID) + PASSWORD.encode(), hashlib.sha384).digest()
    encoded = argon2.low_level.hash_secret(secret, salt, 1, 8, 1, 32, argon2.Type.ID).decode()
    assert encoded.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    expected = encoded.replace("$argon2id", "$caas-argon2id").replace("p=1$", "p=1,k=2$")
    assert answer == {"hash": expected}


def test_hash_verifies(keys_of: Any, new_hash: Any, verify: Any) -> None:
    """What was hashed is right, another password or another user's hash is not."""
    keys = keys_of()
    stored = new_hash(keys)
    assert verify(keys, stored) == RIGHT
    assert verify(keys, stored, "another") == WRONG
    assert verify(keys, stored, user=OTHER_UUID) == WRONG
    assert verify(keys, stored, user=UUID.upper()) == RIGHT


def test_another_tenants_hash_is_wrong(keys_of: Any, new_hash: Any, verify: Any) -> None:
    """The prehash's key is the tenant's own."""
    assert verify(keys_of(tenant="blog"), new_hash(keys_of())) == WRONG


def test_salts_are_drawn(keys_of: Any, new_hash: Any) -> None:
    """The same password has another hash each time."""
    assert new_hash(keys_of()) != new_hash(keys_of())


@pytest.mark.parametrize(
    "text", ["", "\0", "a\0b", "x" * 65_536, "\U0001f511" * 16_384, "ä\n", " padded "]
)
def test_any_password_up_to_the_limit(keys_of: Any, new_hash: Any, verify: Any, text: str) -> None:
    """Empty, with NUL, and 64 KiB: all of it counts."""
    keys = keys_of()
    stored = new_hash(keys, text)
    assert verify(keys, stored, text) == RIGHT
    assert verify(keys, stored, text[:-1] + "y") == WRONG
    assert verify(keys, stored, "y" + text[:-1]) == WRONG


def test_unicode_forms_are_two_passwords(keys_of: Any, new_hash: Any, verify: Any) -> None:
    """Nothing is normalised: the composed and the decomposed form differ."""
    keys = keys_of()
    composed, decomposed = (unicodedata.normalize(form, "pässwörd") for form in ("NFC", "NFD"))
    assert verify(keys, new_hash(keys, composed), decomposed) == WRONG


@given(st.tuples(st.uuids(), st.binary(max_size=40)), st.tuples(st.uuids(), st.binary(max_size=40)))
def test_prehash_inputs_do_not_collide(one: Any, other: Any) -> None:
    """Two users or passwords that differ have two prehashes."""
    found = [password.prehash(b"k" * 32, user.bytes, text) for user, text in (one, other)]
    assert (found[0] == found[1]) is (one == other)
    assert len(found[0]) == 48


@pytest.mark.parametrize("primary", [1, 3])
def test_older_version_needs_an_update(
    keys_of: Any, new_hash: Any, verify: Any, primary: int
) -> None:
    """A right password under another version than the primary comes with its new hash."""
    stored = new_hash(keys_of(3, primary=2))
    keys = keys_of(3, primary=primary)
    answer = verify(keys, stored)
    assert {**answer, "hash": ""} == {"valid": True, "needs_update": True, "hash": ""}
    renewed = parse_password_hash(answer["hash"])
    assert renewed is not None
    assert renewed.key_version == primary
    assert verify(keys, answer["hash"]) == RIGHT
    assert verify(keys, stored, "another") == WRONG


def test_other_costs_need_an_update(
    keys_of: Any, new_hash: Any, verify: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A right password of other costs than the tenant's profile comes with its new hash."""
    stored = new_hash(keys_of())
    cost = Argon2Parameters(16, 2, 2)
    monkeypatch.setitem(PASSWORD_PROFILES, "rfc9106-low-memory", cost)
    keys = keys_of(profile="rfc9106-low-memory")
    answer = verify(keys, stored)
    renewed = parse_password_hash(answer["hash"])
    assert renewed is not None
    assert renewed.parameters == cost
    assert verify(keys, answer["hash"]) == RIGHT


@pytest.mark.parametrize("state", ["disabled", "destroyed"])
def test_unavailable_version(keys_of: Any, new_hash: Any, verify: Any, state: str) -> None:
    """A hash of a version that is not enabled is neither right nor wrong."""
    stored = new_hash(keys_of(2, primary=2))
    with pytest.raises(KeyUnavailableError):
        verify(keys_of(2, states={2: state}), stored)


def test_version_below_the_minimum(keys_of: Any, new_hash: Any, verify: Any) -> None:
    """A minimum for checking makes older hashes unavailable."""
    stored = new_hash(keys_of(2))
    with pytest.raises(KeyUnavailableError):
        verify(keys_of(2, primary=2, minimum_checking=2), stored)


def test_unknown_version(keys_of: Any, new_hash: Any, verify: Any) -> None:
    """A version that is not known here may be known soon: the answer is to try again."""
    with pytest.raises(ServiceUnavailableError) as caught:
        verify(keys_of(1), new_hash(keys_of(2, primary=2)))
    assert caught.value.retry_after_s is not None


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Argon2Parameters]:
    """The costs of every Argon2 run, which is not done."""
    found: list[Argon2Parameters] = []

    def note(
        _secret: bytes, _salt: bytes, cost: Argon2Parameters, size: int, _threads: int
    ) -> bytes:
        found.append(cost)
        return bytes(size)

    monkeypatch.setattr(password, "argon2id", note)
    return found


def test_absent_user_costs_what_a_present_one_does(
    keys_of: Any, verify: Any, runs: list[Argon2Parameters]
) -> None:
    """Without a hash the tenant's own costs are paid once, and the answer is wrong."""
    assert verify(keys_of(profile="rfc9106-low-memory"), None) == WRONG
    assert runs == [PASSWORD_PROFILES["rfc9106-low-memory"]]


def stored_with(costs: str) -> str:
    return f"$caas-argon2id$v=19${costs},k=1${'A' * 22}${'A' * 43}"


@pytest.mark.parametrize(
    "costs",
    [
        "m=2097153,t=1,p=1",
        "m=4294967295,t=1,p=1",
        "m=8,t=17,p=1",
        "m=8,t=4294967295,p=1",
        "m=1024,t=1,p=17",
        "m=4294967295,t=4294967295,p=4294967295",
        "m=2097152,t=3,p=1",
        "m=7,t=1,p=1",
        "m=31,t=1,p=4",
    ],
)
@pytest.mark.parametrize("profile", ["rfc9106-high-memory", "cheapest"])
def test_absurd_costs_are_refused_before_any_work(
    keys_of: Any, verify: Any, runs: list[Argon2Parameters], costs: str, profile: str
) -> None:
    """A stored string can't make a worker spend more than the caps, nor what Argon2 refuses."""
    with pytest.raises(InvalidRequestError) as caught:
        verify(keys_of(profile=profile), stored_with(costs))
    assert caught.value.message == "hash asks for more work than is allowed."
    assert runs == []


@pytest.mark.parametrize("costs", ["m=2097152,t=2,p=16", "m=131072,t=16,p=1", "m=8,t=1,p=1"])
def test_costs_up_to_the_caps_are_paid(
    keys_of: Any, verify: Any, runs: list[Argon2Parameters], costs: str
) -> None:
    """The caps themselves are allowed, RFC 9106's first recommendation among what they hold."""
    assert verify(keys_of(profile="rfc9106-high-memory"), stored_with(costs))["valid"] is True
    assert f"m={runs[0].memory_kib},t={runs[0].time_cost},p={runs[0].parallelism}" == costs
    assert password.is_affordable(PASSWORD_PROFILES["rfc9106-high-memory"], PasswordRoom())


@pytest.mark.parametrize("profile", ["rfc9106-low-memory", "cheapest"])
@pytest.mark.parametrize(
    ("costs", "is_paid"),
    [
        ("m=262144,t=3,p=4", True),
        ("m=262145,t=1,p=4", False),
        ("m=262144,t=4,p=4", False),
        ("m=49152,t=16,p=4", True),
        ("m=49153,t=16,p=4", False),
    ],
)
def test_stored_costs_are_held_to_a_multiple_of_the_profiles(
    keys_of: Any,
    verify: Any,
    runs: list[Argon2Parameters],
    profile: str,
    costs: str,
    is_paid: bool,
) -> None:
    """One tenant's string can't take the memory or the time of four default hashes and more."""
    keys = keys_of(profile=profile)
    if is_paid:
        assert verify(keys, stored_with(costs))["valid"] is True
        return
    with pytest.raises(InvalidRequestError) as caught:
        verify(keys, stored_with(costs))
    assert caught.value.message == "hash asks for more work than is allowed."
    assert runs == []


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (3, 3), (64, 4)])
def test_a_lone_hash_has_the_cores(
    keys_of: Any, run: Any, monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    """As many threads as there are, and lanes to compute."""
    asked: list[int] = []

    def note(*args: Any) -> bytes:
        asked.append(args[-1])
        return bytes(32)

    monkeypatch.setattr(password, "argon2id", note)
    means = Means(os.urandom, PasswordRoom(cores=cores))
    keys = keys_of(profile="rfc9106-low-memory")
    run(Operation.HASH_PASSWORD, keys, means, userUUID=UUID, password=PASSWORD)
    assert asked == [threads]


def test_costs_over_the_workers_memory_are_refused(
    keys_of: Any, verify: Any, runs: list[Argon2Parameters]
) -> None:
    """A stored string can't ask for more than the worker has for all passwords together."""
    means = Means(os.urandom, PasswordRoom(1_024))
    with pytest.raises(InvalidRequestError):
        verify(keys_of(), stored_with("m=1025,t=1,p=1"), means=means)
    assert runs == []
    assert verify(keys_of(), stored_with("m=1024,t=1,p=1"), means=means)["valid"] is True


@pytest.mark.parametrize(
    "stored", ["", "x", "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", "$2b$12$abc", "a" * 256]
)
def test_hash_of_another_form(
    keys_of: Any, verify: Any, runs: list[Argon2Parameters], stored: str
) -> None:
    """A hash of another scheme is refused, not answered as a wrong password."""
    with pytest.raises(InvalidRequestError) as caught:
        verify(keys_of(), stored)
    assert caught.value.message == "hash is not of the expected form."
    assert runs == []


def test_profile_over_the_workers_memory(
    keys_of: Any, verify: Any, run: Any, runs: list[Argon2Parameters]
) -> None:
    """A worker with too little memory for new hashes says so, and waits for none."""
    keys = keys_of(profile="rfc9106-low-memory")
    means = Means(os.urandom, PasswordRoom(1_024))
    with pytest.raises(ServiceUnavailableError):
        run(Operation.HASH_PASSWORD, keys, means, userUUID=UUID, password=PASSWORD)
    with pytest.raises(ServiceUnavailableError):
        verify(keys, None, means=means)
    assert runs == []
