"""Rotating API keys, and tenants' limits of guesses."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from caas_tasks import api_key
from worker.keystore import access, change
from worker.keystore.access import GuessLimits
from worker.keystore.change import NewApiKey
from worker.keystore.document import ApiKey, Keystore
from worker.keystore.errors import KeystoreError

NOW_S = 1_760_000_000
DAY_S = 86_400


def add(keystore: Keystore, **options: Any) -> NewApiKey:
    defaults: dict[str, Any] = {"tenant": "shop", "scopes": ["verify"], "expires_at": None}
    return change.add_api_key(keystore, now_s=NOW_S, random=secrets, **{**defaults, **options})


def rotate(old: NewApiKey, *, now_s: int = NOW_S + DAY_S, **options: Any) -> NewApiKey:
    return access.rotate_api_key(old.keystore, old.key_id, now_s=now_s, random=secrets, **options)


def records(old: NewApiKey, new: NewApiKey) -> tuple[ApiKey, ApiKey]:
    return (
        access.find_api_key(new.keystore, old.key_id),
        access.find_api_key(new.keystore, new.key_id),
    )


def test_rate_of_a_new_key(keystore: Keystore) -> None:
    """A key can have a limit of its own."""
    assert add(keystore, requests_per_s=5).keystore.api_keys[0].requests_per_s == 5
    with pytest.raises(KeystoreError, match="requests_per_s"):
        add(keystore, requests_per_s=0)


def test_new_key_takes_the_old_one_s_place(keystore: Keystore) -> None:
    """The new key may do what the old one might, as often."""
    old = add(keystore, requests_per_s=5)
    new = rotate(old)
    before, after = records(old, new)
    assert api_key.digest(new.text) == after.digest != before.digest
    assert (after.tenant, after.scopes, after.requests_per_s, after.expires_at) == (
        "shop",
        {"verify"},
        5,
        None,
    )


def test_both_are_valid_for_the_overlap(keystore: Keystore) -> None:
    """The old key ends when the overlap does, and says which key took its place."""
    old = add(keystore)
    new = rotate(old, overlap_s=100)
    before, after = records(old, new)
    ends_at = NOW_S + DAY_S + 100
    assert (before.expires_at, before.rotated_to) == (ends_at, after.key_id)
    assert [before.is_valid_at(ends_at - 1), before.is_valid_at(ends_at)] == [True, False]


def test_overlap_is_a_day_unless_said_otherwise(keystore: Keystore) -> None:
    """A day is time enough to bring the new key to the main servers."""
    old = add(keystore)
    assert records(old, rotate(old))[0].expires_at == NOW_S + 2 * DAY_S


def test_overlap_never_lengthens_a_life(keystore: Keystore) -> None:
    """A key that would end within the overlap still does; the new one lives as long as it did."""
    old = add(keystore, expires_at=NOW_S + DAY_S + 10)
    before, after = records(old, rotate(old, overlap_s=100))
    assert before.expires_at == NOW_S + DAY_S + 10
    assert after.expires_at == NOW_S + DAY_S + DAY_S + 10


def test_without_overlap_the_old_key_ends_now(keystore: Keystore) -> None:
    """No overlap is for a key that has leaked and whose successor is in place at once."""
    old = add(keystore)
    assert not records(old, rotate(old, overlap_s=0))[0].is_valid_at(NOW_S + DAY_S)


def test_key_that_is_not_valid_is_not_rotated(keystore: Keystore) -> None:
    """A revoked or expired key has no successor."""
    old = add(keystore, expires_at=NOW_S + 10)
    with pytest.raises(
        KeystoreError, match=r"^this API key is revoked or expired: create a new one$"
    ):
        rotate(old, now_s=NOW_S + 10)
    revoked = change.revoke_api_key(old.keystore, old.key_id, NOW_S)
    with pytest.raises(
        KeystoreError, match=r"^this API key is revoked or expired: create a new one$"
    ):
        rotate(NewApiKey(revoked, old.key_id, old.text), now_s=NOW_S)


def test_rotating_twice(keystore: Keystore) -> None:
    """A key has one successor; the successor can be rotated in its turn."""
    old = add(keystore)
    new = rotate(old)
    with pytest.raises(
        KeystoreError,
        match=r"^this API key is rotated already; if its successor is lost, create one$",
    ):
        rotate(NewApiKey(new.keystore, old.key_id, old.text))
    assert len(rotate(new).keystore.api_keys) == 3


def test_unknown_key(keystore: Keystore) -> None:
    """An id that no key has is an error, and is not repeated."""
    with pytest.raises(KeystoreError) as caught:
        access.rotate_api_key(keystore, "canary", now_s=NOW_S, random=secrets)
    assert str(caught.value) == "no API key has this id"


def test_limits_of_a_tenant(keystore: Keystore) -> None:
    """A tenant's own limits are set together and taken back together."""
    limited = access.set_guess_limits(keystore, "shop", GuessLimits(5, 50))
    assert access.guess_limits(limited, "shop") == GuessLimits(5, 50)
    assert access.set_guess_limits(limited, "shop", GuessLimits()) == keystore


def test_limits_of_one_tenant_alone(keystore: Keystore) -> None:
    """Another tenant's limits stay; a minute's limit may be as high as a day's."""
    both = add(keystore, tenant="clinic").keystore
    limited = access.set_guess_limits(both, "shop", GuessLimits(5, 5))
    assert access.guess_limits(limited, "shop") == GuessLimits(5, 5)
    assert access.guess_limits(limited, "clinic") == GuessLimits()


BAD_LIMITS = {
    "none a minute": (GuessLimits(0), r"tenants\.0\.guesses_per_minute"),
    "none a day": (GuessLimits(None, 0), r"tenants\.0\.guesses_per_day"),
    "more a minute": (GuessLimits(9, 8), "^more guesses a minute than a day$"),
}


@pytest.mark.parametrize(("limits", "reason"), BAD_LIMITS.values(), ids=BAD_LIMITS.keys())
def test_limits_that_make_no_sense(keystore: Keystore, limits: GuessLimits, reason: str) -> None:
    """A limit is at least one, and a minute's is not above a day's."""
    with pytest.raises(KeystoreError, match=reason):
        access.set_guess_limits(keystore, "shop", limits)


def test_limits_of_an_unknown_tenant(keystore: Keystore) -> None:
    """A tenant is not made by giving it limits, and its name is not repeated."""
    with pytest.raises(KeystoreError) as caught:
        access.set_guess_limits(keystore, "canary", GuessLimits(1))
    assert str(caught.value) == "there is no tenant of this name"
