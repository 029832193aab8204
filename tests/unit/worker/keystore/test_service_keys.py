"""What may become of a service key pair, and which one main servers are given."""

from __future__ import annotations

import secrets

import pytest

from worker.keystore import change, service_keys
from worker.keystore.document import Keystore
from worker.keystore.errors import KeystoreError

NOW_S = 1_760_000_001
HOURS_25_S = 25 * 3_600


@pytest.fixture
def two(keystore: Keystore) -> Keystore:
    """Two pairs, of which the first is in use."""
    return service_keys.add(keystore, now_s=NOW_S, random=secrets)


def ids(keystore: Keystore) -> list[str]:
    return [key.key_id for key in keystore.service_keys]


def given(keystore: Keystore) -> str:
    """The pair that main servers are given."""
    return change.public_key(keystore).key_id.hex()


def test_added_pair_is_given_to_nobody_yet(keystore: Keystore, two: Keystore) -> None:
    """Workers must know a pair before messages are sealed to it."""
    assert (len(two.service_keys), given(two)) == (2, given(keystore))


def test_retiring_hands_out_the_next(two: Keystore) -> None:
    """Once the old pair is retired main servers are given the new one; the old one still opens."""
    retired = service_keys.retire(two, ids(two)[0], NOW_S + 5)
    assert (given(retired), ids(retired)) == (ids(two)[1], ids(two))
    assert [key.retired_at for key in retired.service_keys] == [NOW_S + 5, None]


def test_added_pair_can_be_given_up(two: Keystore) -> None:
    """Retiring the new pair instead leaves the old one in use."""
    assert given(service_keys.retire(two, ids(two)[1], NOW_S)) == ids(two)[0]


def test_removed_pair_is_gone(two: Keystore) -> None:
    """A pair that was retired for as long as a message lives can be removed."""
    retired = service_keys.retire(two, ids(two)[0], NOW_S)
    removed = service_keys.remove(retired, ids(two)[0], NOW_S + HOURS_25_S)
    assert ids(removed) == ids(two)[1:]


def test_pair_that_messages_may_be_under_way_to(two: Keystore) -> None:
    """Removing too early would lose bulk jobs, so it has to be forced."""
    retired = service_keys.retire(two, ids(two)[0], NOW_S)
    with pytest.raises(KeystoreError, match="less than 25 hours ago"):
        service_keys.remove(retired, ids(two)[0], NOW_S + HOURS_25_S - 1)
    assert ids(service_keys.remove(retired, ids(two)[0], NOW_S, force=True)) == ids(two)[1:]


@pytest.mark.parametrize("force", [False, True])
def test_pair_in_use_is_not_removed(two: Keystore, force: bool) -> None:
    """Not even by force is a pair removed that main servers are given."""
    with pytest.raises(
        KeystoreError, match=r"^this service key is not retired: main servers are given it$"
    ):
        service_keys.remove(two, ids(two)[0], NOW_S, force=force)


def test_last_pair_is_not_retired(keystore: Keystore) -> None:
    """Main servers must be given something."""
    with pytest.raises(
        KeystoreError, match=r"^this is the only service key that is not retired: rotate first$"
    ):
        service_keys.retire(keystore, ids(keystore)[0], NOW_S)


def test_retiring_twice(two: Keystore) -> None:
    """The time of retirement counts from the first."""
    retired = service_keys.retire(two, ids(two)[0], NOW_S)
    with pytest.raises(KeystoreError, match=r"^this service key is retired already$"):
        service_keys.retire(retired, ids(two)[0], NOW_S + 1)


def test_unknown_pair(keystore: Keystore) -> None:
    """An id that no pair has is an error, and is not repeated."""
    for rule in (
        lambda: service_keys.retire(keystore, "canary", NOW_S),
        lambda: service_keys.remove(keystore, "canary", NOW_S),
    ):
        with pytest.raises(KeystoreError) as caught:
            rule()
        assert str(caught.value) == "no service key has this id"
