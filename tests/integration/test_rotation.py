"""Keys rotated while requests go on: no call fails, and what is taken away is gone everywhere."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rig.process import DEADLINE_S
from rig.rotation import Hosts, Rotation
from rig.stack import Stack

from caas_tasks import api_key
from producer_client import (
    Client,
    ServiceUnavailableError,
    UnauthorizedError,
    UnreadableMessageError,
)
from worker.keystore import change, file, lifecycle, service_keys
from worker.keystore.document import Keystore, Profile

pytestmark = pytest.mark.integration

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
CALLS = 3_000


def test_no_call_fails_while_keys_rotate(new_stack: Callable[..., Stack]) -> None:
    """Add, spread, promote: every call is answered, old values verified, until they are disabled.

    The soak tests do the same with 20,000 calls.
    """
    rotation = Rotation(new_stack(), workers=2)
    rotation.rotate(CALLS)
    old, new = rotation.made_with(1), rotation.made_with(2)
    assert (rotation.traffic.wrong, bool(old), bool(new)) == ([], True, True)
    assert rotation.each(rotation.is_verified, old)
    rotation.disable_old()
    assert rotation.each(rotation.is_unavailable, old)
    assert rotation.each(rotation.is_verified, new)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Hosts]]:
    """Two workers with files of their own, started once: a start costs seconds."""
    with Stack(tmp_path_factory.mktemp("hosts")) as stack:
        yield stack, Hosts(stack, 2)


@pytest.fixture
def hosts(shared: tuple[Stack, Hosts]) -> Iterator[tuple[Stack, Hosts]]:
    """The two workers, which have their first keystore again after each test."""
    stack, running = shared
    first = stack.keystore.load()
    yield shared
    stack.keystore.path.unlink()
    file.create(stack.keystore.path, first)
    running.deliver(stack.client(timeout_s=DEADLINE_S).ping)


def rotated(keystore: Keystore) -> Keystore:
    """The keystore with version 2 as its primary."""
    added = lifecycle.add_version(
        keystore,
        profile=Profile.HARDENED,
        salt_pool=None,
        cipher_pool=None,
        allow_weak=False,
        now_s=int(time.time()),
        random=secrets,
    )
    return lifecycle.promote(added, 2)


def test_version_that_no_worker_knows_can_be_tried_again(hosts: tuple[Stack, Hosts]) -> None:
    """A value from a newer file than any worker's is told to come back later."""
    stack, _ = hosts
    stack.keystore.update(rotated)
    value = stack.keystore.expected_encrypted([(USER, "data")])[0]
    with pytest.raises(ServiceUnavailableError) as caught:
        stack.client(timeout_s=DEADLINE_S).verify(USER, "data", value, 2)
    assert caught.value.retry_after_s == 1.0


def test_file_that_has_just_come_is_read_at_once(hosts: tuple[Stack, Hosts]) -> None:
    """A worker whose file has the version, but which has not looked yet, looks and answers."""
    stack, running = hosts
    client = stack.client(timeout_s=DEADLINE_S)
    stack.keystore.update(rotated)
    value = stack.keystore.expected_encrypted([(USER, "data")])[0]
    for host in running.hosts:
        running.put(host)
    assert [bool(client.verify(USER, "data", value, 2)) for _ in range(20)] == [True] * 20


def test_revoked_api_key_ends_on_every_worker(hosts: tuple[Stack, Hosts]) -> None:
    """Nothing but requests is needed for each worker to see its new file and refuse the key."""
    stack, running = hosts
    client = stack.client(timeout_s=DEADLINE_S)
    client.encrypt(USER, "data")
    key_id = api_key.parse_id(stack.keystore.api_key)
    stack.keystore.update(lambda old: change.revoke_api_key(old, key_id, int(time.time())))
    running.deliver(lambda: is_refused(client))
    assert [is_refused(client) for _ in range(20)] == [True] * 20


def is_refused(client: Client) -> bool:
    """Whether the API key is refused."""
    try:
        client.encrypt(USER, "data")
    except UnauthorizedError:
        return True
    return False


def server_key(keystore: Any) -> str:
    return change.public_key(keystore).to_text()


def test_service_keys_rotate_with_old_messages_open(hosts: tuple[Stack, Hosts]) -> None:
    """Clients with the old and the new key are answered side by side, until the old is removed."""
    stack, running = hosts
    old = stack.client(timeout_s=DEADLINE_S)
    (first,) = stack.keystore.load().service_keys
    now_s = int(time.time())
    stack.keystore.update(lambda ks: service_keys.add(ks, now_s=now_s, random=secrets))
    running.deliver(old.ping)
    retired = stack.keystore.update(lambda ks: service_keys.retire(ks, first.key_id, now_s))
    new = stack.client(timeout_s=DEADLINE_S, server_key=server_key(retired))
    answers = [client.encrypt(USER, "data").encrypted_data for client in (old, new) * 5]
    assert len(set(answers)) == 1
    stack.keystore.update(lambda ks: service_keys.remove(ks, first.key_id, now_s, force=True))
    running.deliver(new.ping)
    with pytest.raises(UnreadableMessageError):
        old.ping()
    assert new.encrypt(USER, "data").encrypted_data == answers[0]
