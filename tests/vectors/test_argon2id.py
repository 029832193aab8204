"""Argon2id's standard vectors against the code path that passwords take: see SOURCES.md."""

from __future__ import annotations

import cryptography_vectors
import pytest

from caas_tasks.stored_forms import Argon2Parameters
from worker.operations.argon2id import argon2id

FILE = "KDF/argon2id.txt"


def records() -> list[dict[str, str]]:
    """The vectors; those with a secret or associated data are not of this project's use."""
    found: list[dict[str, str]] = []
    with cryptography_vectors.open_vector_file(FILE, "r") as file:
        for line in file:
            name, sign, value = line.partition("=")
            if line.startswith("#") or not sign:
                continue
            if name.strip() == "COUNT":
                found.append({})
            found[-1][name.strip()] = value.strip()
    return [record for record in found if not {"secret", "ad"} & record.keys()]


RECORDS = records()


def test_nothing_is_missing() -> None:
    """The file still has the vectors that SOURCES.md counts on."""
    assert len(RECORDS) >= 5


@pytest.mark.parametrize("threads", [1, 2, 64])
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["COUNT"])
def test_digest(record: dict[str, str], threads: int) -> None:
    """The digest is the vector's, however many threads compute its lanes."""
    cost = Argon2Parameters(
        memory_kib=int(record["memcost"]),
        time_cost=int(record["iter"]),
        parallelism=int(record["lanes"]),
    )
    secret, salt = bytes.fromhex(record["pass"]), bytes.fromhex(record["salt"])
    found = argon2id(secret, salt, cost, int(record["length"]), threads)
    assert found.hex() == record["output"]
