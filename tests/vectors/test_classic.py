"""The classic profile against what the existing service answers: see SOURCES.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from worker.operations import classic

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "classic"
VECTORS = FOLDER / "vectors.json"
ENTRIES: list[dict[str, Any]] = json.loads(VECTORS.read_text()) if VECTORS.is_file() else []

UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
POOL = tuple("znpKkJEH6Va97qYS" if index == 257 else f"unused-{index}" for index in range(278))
VALUE = (
    "35db2f10e244a19686cf929071a80ac7029ad03cff2b7aebff4bac148c7dd32f"
    "64cf96c0b4122eb61f4ced1bba6672c1"
)

needs_service = pytest.mark.skipif(
    not ENTRIES, reason="the existing service's results are not part of this project"
)


@pytest.fixture(scope="module")
def pool() -> tuple[str, ...]:
    return tuple(json.loads((FOLDER / "salt_pool.json").read_text()))


def test_published_example() -> None:
    """The published example's selection and value come out."""
    assert classic.select(UUID, 50) == 43
    assert classic.select(UUID, 278) == 257
    assert classic.CIPHER_NAMES[43] == "sha384_version4"
    assert classic.encrypt(POOL, UUID, "example sensitive data") == VALUE


@needs_service
def test_every_cipher_is_among_the_results() -> None:
    """The results use all fifty ciphers, so passing them leaves none untried."""
    assert {entry["cipherIndex"] for entry in ENTRIES} == set(range(50))


@needs_service
@pytest.mark.parametrize("entry", ENTRIES, ids=range(len(ENTRIES)))
def test_result_of_the_service(pool: tuple[str, ...], entry: dict[str, Any]) -> None:
    """Selection, cipher name and value are the existing service's."""
    assert classic.select(entry["userUUID"], 50) == entry["cipherIndex"]
    # The service calls SHA-1 by the number of bits that it resists.
    name = entry["cipherName"].replace("sha128", "sha1")
    assert classic.CIPHER_NAMES[entry["cipherIndex"]] == name
    assert classic.select(entry["userUUID"], len(pool)) == entry["saltIndex"]
    found = classic.encrypt(pool, entry["userUUID"], entry["sensitiveData"])
    assert found == entry["encrypted_data"]
