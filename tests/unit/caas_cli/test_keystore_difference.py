"""What is different between two keystores, in words."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from caas_cli.keystore_difference import differences
from worker.keystore import access, change, service_keys
from worker.keystore.document import Keystore, State

NOW_S = 1_760_000_000


def first_version(**changes: Any) -> Callable[[Keystore], Keystore]:
    """Add a second version, the primary, and change the first."""

    def rule(keystore: Keystore) -> Keystore:
        (record,) = keystore.key_versions
        second = record.model_copy(update={"version": 2})
        return keystore.changed(key_versions=(record.model_copy(update=changes), second), primary=2)

    return rule


ADDED = ["key version 2: added, hardened, enabled", "primary key version: 1 -> 2"]
CHANGES: dict[str, tuple[Callable[[Keystore], Keystore], list[str]]] = {
    "nothing": (lambda k: k, []),
    "rotated": (first_version(), ADDED),
    "disabled": (
        first_version(state=State.DISABLED),
        ["key version 1: disabled", *ADDED],
    ),
    "to be destroyed": (
        first_version(state=State.DISABLED, destroy_at=NOW_S),
        [
            "key version 1: disabled",
            "key version 1: to be destroyed, can be undone until 2025-10-09T08:53:20Z",
            *ADDED,
        ],
    ),
    "destroyed": (
        first_version(state=State.DESTROYED, root=None, salt_pool=()),
        ["key version 1: destroyed, its secret is erased", *ADDED],
    ),
    "minimums": (
        lambda k: first_version()(k).changed(minimum_making=2, minimum_checking=2),
        [
            *ADDED,
            "minimum version for making: 1 -> 2",
            "minimum version for checking: 1 -> 2",
        ],
    ),
    "tenant's limits": (
        lambda k: access.set_guess_limits(k, "shop", access.GuessLimits(5, 50)),
        [
            "tenant shop: guesses a minute: default -> 5",
            "tenant shop: guesses a day: default -> 50",
        ],
    ),
    "tenant's password profile": (
        lambda k: change.set_password_profile(k, "shop", "rfc9106-low-memory"),
        ["tenant shop: password profile: cheapest -> rfc9106-low-memory"],
    ),
    "recipients": (
        lambda k: k.changed(recipients=("age1new",)),
        ["recipient age1new: added", "recipient age1unused: removed"],
    ),
}


@pytest.mark.parametrize(("rule", "words"), CHANGES.values(), ids=CHANGES.keys())
def test_changes_in_words(
    keystore: Keystore, rule: Callable[[Keystore], Keystore], words: list[str]
) -> None:
    """Each change has its line, the key versions' first."""
    assert differences(keystore, rule(keystore)) == words


def test_undone_destruction(keystore: Keystore) -> None:
    """A version that is kept after all is told as such."""
    pending = first_version(state=State.DISABLED, destroy_at=NOW_S)(keystore)
    kept = first_version(state=State.DISABLED)(keystore)
    assert differences(pending, kept) == ["key version 1: no longer to be destroyed"]


def test_weak_version(keystore: Keystore) -> None:
    """A version with weak algorithms is told as such."""
    (record,) = keystore.key_versions
    weak = {"version": 2, "allow_weak": True, "cipher_pool": ("md5",)}
    after = keystore.changed(key_versions=(record, record.model_copy(update=weak)))
    assert differences(keystore, after) == [
        "key version 2: added, hardened, enabled, weak algorithms allowed"
    ]


def test_service_keys(keystore: Keystore) -> None:
    """Added, retired and removed pairs each have a line."""
    (old,) = keystore.service_keys
    added = service_keys.add(keystore, now_s=NOW_S, random=secrets)
    new = added.service_keys[1]
    retired = service_keys.retire(added, old.key_id, NOW_S)
    removed = service_keys.remove(retired, old.key_id, NOW_S, force=True)
    assert differences(keystore, added) == [f"service key {new.key_id}: added"]
    assert differences(added, retired) == [
        f"service key {old.key_id}: retired, messages to it still open"
    ]
    assert differences(retired, removed) == [
        f"service key {old.key_id}: removed, messages to it no longer open"
    ]


def test_api_keys(keystore: Keystore) -> None:
    """Added, rotated and revoked keys and a new tenant each have their lines."""
    old = change.add_api_key(
        keystore,
        tenant="clinic",
        scopes=["verify"],
        expires_at=None,
        now_s=NOW_S,
        random=secrets,
    )
    new = access.rotate_api_key(old.keystore, old.key_id, overlap_s=0, now_s=NOW_S, random=secrets)
    revoked = change.revoke_api_key(new.keystore, new.key_id, NOW_S)
    assert differences(keystore, old.keystore) == [
        f"API key {old.key_id}: added for tenant clinic",
        "tenant clinic: added",
    ]
    assert differences(old.keystore, new.keystore) == [
        f"API key {old.key_id}: rotated to {new.key_id}",
        f"API key {old.key_id}: expires 2025-10-09T08:53:20Z",
        f"API key {new.key_id}: added for tenant clinic",
    ]
    assert differences(new.keystore, revoked) == [f"API key {new.key_id}: revoked"]


def test_limit_of_an_api_key(keystore: Keystore) -> None:
    """A changed limit is told with what it was."""
    before = change.add_api_key(
        keystore, tenant="shop", scopes=["verify"], expires_at=None, now_s=NOW_S, random=secrets
    ).keystore
    key = before.api_keys[0].model_copy(update={"requests_per_s": 7})
    assert differences(before, before.changed(api_keys=(key,))) == [
        f"API key {key.key_id}: requests a second: default -> 7"
    ]


def test_audit_key(keystore: Keystore) -> None:
    """The key that an old keystore is given is mentioned, not shown."""
    assert differences(keystore.changed(audit_key=None), keystore) == ["audit key: made"]
