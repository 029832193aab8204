"""The existing service's published example through the whole of this one, exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from rig.process import DEADLINE_S, PROJECT
from rig.stack import Stack

from producer_client import Encrypted
from worker.keystore.change import check_salt_pool
from worker.keystore.document import Profile

CLASSIC = PROJECT.parent / "shared" / "classic"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not CLASSIC.is_dir(), reason="the published salt pool is not here"),
]

USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
DATA = "example sensitive data"
PUBLISHED = (
    "35db2f10e244a19686cf929071a80ac7029ad03cff2b7aebff4bac148c7dd32f"
    "64cf96c0b4122eb61f4ced1bba6672c1"
)


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service with the published pool and one worker that is ready."""
    pool = check_salt_pool(json.loads((CLASSIC / "salt_pool.json").read_text()))
    folder = tmp_path_factory.mktemp("classic")
    with Stack(folder, profile=Profile.CLASSIC, salt_pool=pool) as stack:
        stack.start_worker()
        stack.wait_until_ready()
        yield stack


def test_the_client_gives_the_published_value(classic: Stack) -> None:
    """`Client.encrypt` of the published example returns its exact value."""
    with classic.client(timeout_s=DEADLINE_S) as client:
        assert client.encrypt(USER, DATA) == Encrypted(PUBLISHED, 1)


def test_the_gateway_gives_the_published_value(classic: Stack) -> None:
    """`POST /encrypt` of the published example answers its exact value and nothing beside it."""
    gateway = classic.start_gateway("--no-access-log")
    body = {"apiKey": classic.keystore.api_key, "userUUID": USER, "sensitiveData": DATA}
    answer = httpx.post(f"{gateway.url}/encrypt", json=body, timeout=DEADLINE_S)
    assert (answer.status_code, answer.json()) == (200, {"encrypted_data": PUBLISHED})


def test_all_published_results_come_back(classic: Stack) -> None:
    """`encrypt_many` over the published results gives each of them."""
    results: list[dict[str, Any]] = json.loads((CLASSIC / "vectors.json").read_text())
    pairs = [(result["userUUID"], result["sensitiveData"]) for result in results]
    with classic.client() as client:
        values = client.encrypt_many(pairs, timeout_s=DEADLINE_S)
    assert values == [Encrypted(result["encrypted_data"], 1) for result in results]


def test_a_published_value_verifies_and_asks_for_no_update(classic: Stack) -> None:
    """A stored value of the existing service is valid here."""
    with classic.client(timeout_s=DEADLINE_S) as client:
        found = client.verify(USER, DATA, PUBLISHED)
    assert (found.valid, found.needs_update) == (True, False)
