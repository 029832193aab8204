"""What may become of a key version, rule by rule."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from worker.keystore import lifecycle, upkeep
from worker.keystore.document import Keystore, KeyVersion, Profile, State
from worker.keystore.errors import KeystoreError
from worker.operations.digests import STRONG

NOW_S = 1_760_000_000
DAY_S = 86_400
Rule = Callable[[Keystore], Keystore]


def added(keystore: Keystore, **options: Any) -> Keystore:
    defaults: dict[str, Any] = {
        "profile": Profile.HARDENED,
        "salt_pool": None,
        "cipher_pool": None,
        "allow_weak": False,
    }
    return lifecycle.add_version(keystore, now_s=NOW_S, random=secrets, **{**defaults, **options})


@pytest.fixture
def two(keystore: Keystore) -> Keystore:
    """Versions 1, the primary, and 2."""
    return added(keystore)


@pytest.fixture
def rotated(two: Keystore) -> Keystore:
    """Versions 1 and 2, the primary."""
    return lifecycle.promote(two, 2)


def record(keystore: Keystore, version: int) -> KeyVersion:
    return lifecycle.find(keystore, version)


def test_added_version_makes_nothing_yet(two: Keystore) -> None:
    """A new version is enabled, has the next number and a secret of its own, and is not primary."""
    new = record(two, 2)
    assert (new.state, new.profile, two.primary) == (State.ENABLED, Profile.HARDENED, 1)
    assert new.root not in {None, record(two, 1).root}
    assert new.cipher_pool == STRONG


def test_number_of_a_destroyed_version_is_not_used_again(rotated: Keystore) -> None:
    """The next number counts from every version there ever was."""
    pending = lifecycle.schedule_destruction(lifecycle.promote(rotated, 1), 2, NOW_S, 0)
    gone = upkeep.keep_up(pending, NOW_S, secrets.token_bytes)
    assert record(added(gone), 3).version == 3


def test_classic_version_has_the_given_salts(keystore: Keystore) -> None:
    """A classic version is added with the existing service's salt pool."""
    new = record(added(keystore, profile=Profile.CLASSIC, salt_pool=("a", "b")), 2)
    assert (new.profile, new.salt_pool, new.cipher_pool) == (Profile.CLASSIC, ("a", "b"), ())


def test_chosen_cipher_pool(keystore: Keystore) -> None:
    """A pool of one's own choice takes the default one's place."""
    new = record(added(keystore, cipher_pool=("sha256", "sha512")), 2)
    assert (new.cipher_pool, new.allow_weak) == (("sha256", "sha512"), False)


def test_weak_ciphers_need_permission(keystore: Keystore) -> None:
    """md5 is only taken by a version that says so."""
    new = record(added(keystore, cipher_pool=("md5", "sha256"), allow_weak=True), 2)
    assert (new.cipher_pool, new.allow_weak) == (("md5", "sha256"), True)


REFUSED_VERSIONS: dict[str, tuple[dict[str, Any], str]] = {
    "weak without permission": ({"cipher_pool": ("md5",)}, "not allowed"),
    "unknown cipher": ({"cipher_pool": ("crc32",), "allow_weak": True}, "not allowed"),
    "no cipher": ({"cipher_pool": ()}, "a cipher pool is empty"),
    "a cipher twice": (
        {"cipher_pool": ("sha256", "sha256")},
        "^the cipher pool names an algorithm twice$",
    ),
    "classic without salts": ({"profile": Profile.CLASSIC}, "needs the existing service's salt"),
    "classic with ciphers": (
        {"profile": Profile.CLASSIC, "salt_pool": ("a",), "cipher_pool": ("sha256",)},
        "^the classic profile has its ciphers built in$",
    ),
}


@pytest.mark.parametrize(
    ("options", "reason"), REFUSED_VERSIONS.values(), ids=REFUSED_VERSIONS.keys()
)
def test_version_that_is_not_added(
    keystore: Keystore, options: dict[str, Any], reason: str
) -> None:
    """A version that would be weak by mistake, or could not compute, is refused."""
    with pytest.raises(KeystoreError, match=reason):
        added(keystore, **options)


def test_numbers_end(keystore: Keystore) -> None:
    """After the last number that a token has room for, none is added."""
    last = record(keystore, 1).model_copy(update={"version": 2**32 - 1})
    with pytest.raises(KeystoreError, match="version"):
        added(keystore.changed(key_versions=(last,), primary=last.version))


def test_promoted_version_is_the_primary(two: Keystore) -> None:
    """Promoting changes who makes new values and nothing else."""
    promoted = lifecycle.promote(two, 2)
    assert (promoted.primary, promoted.key_versions) == (2, two.key_versions)


def test_promoting_can_be_undone(rotated: Keystore) -> None:
    """The old primary can be promoted back."""
    assert lifecycle.promote(rotated, 1).primary == 1


def test_disabled_and_enabled_again(rotated: Keystore) -> None:
    """A version that was disabled and enabled is as before."""
    off = lifecycle.disable(rotated, 1)
    assert record(off, 1).state is State.DISABLED
    assert lifecycle.enable(off, 1, NOW_S) == rotated


def test_destruction_has_a_grace_period(rotated: Keystore) -> None:
    """A version to be destroyed is disabled at once and keeps its secret until its time."""
    pending = lifecycle.schedule_destruction(rotated, 1, NOW_S)
    found = record(pending, 1)
    assert (found.state, found.destroy_at) == (State.DISABLED, NOW_S + 7 * DAY_S)
    assert found.root == record(rotated, 1).root


def test_disabled_version_can_be_destroyed(rotated: Keystore) -> None:
    """Destroying follows disabling as well as it follows enabling."""
    pending = lifecycle.schedule_destruction(lifecycle.disable(rotated, 1), 1, NOW_S, DAY_S)
    assert record(pending, 1).destroy_at == NOW_S + DAY_S


def test_enabling_undoes_a_destruction(rotated: Keystore) -> None:
    """Until its time has come, enabling brings the version back as it was."""
    pending = lifecycle.schedule_destruction(rotated, 1, NOW_S, DAY_S)
    assert lifecycle.enable(pending, 1, NOW_S + DAY_S - 1) == rotated


def test_undone_destruction_leaves_it_disabled(rotated: Keystore) -> None:
    """Undoing keeps the secret; whether its values are answered is another decision."""
    pending = lifecycle.schedule_destruction(rotated, 1, NOW_S, DAY_S)
    kept = lifecycle.undo_destruction(pending, 1, NOW_S + DAY_S - 1)
    assert kept == lifecycle.disable(rotated, 1)


def test_minimums(rotated: Keystore) -> None:
    """Each minimum is set by itself and can be lowered again."""
    making = lifecycle.set_minimums(rotated, making=2)
    both = lifecycle.set_minimums(making, checking=2)
    assert (making.minimum_making, making.minimum_checking) == (2, 1)
    assert (both.minimum_making, both.minimum_checking) == (2, 2)
    assert lifecycle.set_minimums(both, making=1, checking=1) == rotated


def pending(keystore: Keystore) -> Keystore:
    return lifecycle.schedule_destruction(keystore, 1, NOW_S, DAY_S)


def destroyed(keystore: Keystore) -> Keystore:
    return upkeep.keep_up(pending(keystore), NOW_S + DAY_S, secrets.token_bytes)


AT_THE_END_S = NOW_S + DAY_S
REFUSED: dict[str, tuple[Rule, str]] = {
    "promote unknown": (lambda k: lifecycle.promote(k, 3), "there is no key version 3"),
    "promote the primary": (lambda k: lifecycle.promote(k, 2), "2 is the primary already"),
    "promote disabled": (
        lambda k: lifecycle.promote(lifecycle.disable(k, 1), 1),
        "1 is disabled: only enabled ones make",
    ),
    "promote destroyed": (lambda k: lifecycle.promote(destroyed(k), 1), "1 is destroyed"),
    "promote below the minimum for making": (
        lambda k: lifecycle.promote(lifecycle.set_minimums(k, making=2), 1),
        "1 is below the minimum version 2",
    ),
    "promote below the minimum for checking": (
        lambda k: lifecycle.promote(lifecycle.set_minimums(k, checking=2), 1),
        "1 is below the minimum version 2",
    ),
    "disable unknown": (lambda k: lifecycle.disable(k, 3), "there is no key version 3"),
    "disable the primary": (lambda k: lifecycle.disable(k, 2), "2 is the primary: promote another"),
    "disable twice": (
        lambda k: lifecycle.disable(lifecycle.disable(k, 1), 1),
        "1 is disabled already",
    ),
    "disable destroyed": (
        lambda k: lifecycle.disable(destroyed(k), 1),
        "1 is destroyed already",
    ),
    "enable unknown": (lambda k: lifecycle.enable(k, 3, NOW_S), "there is no key version 3"),
    "enable twice": (lambda k: lifecycle.enable(k, 1, NOW_S), "1 is enabled already"),
    "enable destroyed": (
        lambda k: lifecycle.enable(destroyed(k), 1, NOW_S),
        "1 is destroyed: its secret is gone",
    ),
    "enable too late": (
        lambda k: lifecycle.enable(pending(k), 1, AT_THE_END_S),
        "1 is past its grace period",
    ),
    "destroy unknown": (
        lambda k: lifecycle.schedule_destruction(k, 3, NOW_S),
        "there is no key version 3",
    ),
    "destroy the primary": (
        lambda k: lifecycle.schedule_destruction(k, 2, NOW_S),
        "2 is the primary: promote another",
    ),
    "destroy twice": (
        lambda k: lifecycle.schedule_destruction(pending(k), 1, NOW_S),
        "1 waits to be destroyed already",
    ),
    "destroy destroyed": (
        lambda k: lifecycle.schedule_destruction(destroyed(k), 1, NOW_S),
        "1 is destroyed already",
    ),
    "undo unknown": (
        lambda k: lifecycle.undo_destruction(k, 3, NOW_S),
        "there is no key version 3",
    ),
    "undo nothing": (
        lambda k: lifecycle.undo_destruction(k, 1, NOW_S),
        "1 does not wait to be destroyed",
    ),
    "undo too late": (
        lambda k: lifecycle.undo_destruction(pending(k), 1, AT_THE_END_S),
        "1 is past its grace period",
    ),
    "undo destroyed": (
        lambda k: lifecycle.undo_destruction(destroyed(k), 1, NOW_S),
        "1 is destroyed: its secret is gone",
    ),
    "minimum for making above the primary": (
        lambda k: lifecycle.set_minimums(k, making=3),
        "can't be above the primary, key version 2",
    ),
    "minimum for checking above the primary": (
        lambda k: lifecycle.set_minimums(k, checking=3),
        "can't be above the primary, key version 2",
    ),
}


@pytest.mark.parametrize(("rule", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(rotated: Keystore, rule: Rule, reason: str) -> None:
    """What would lose values by mistake, or means nothing, is refused with its reason."""
    with pytest.raises(KeystoreError) as caught:
        rule(rotated)
    assert reason in str(caught.value)
