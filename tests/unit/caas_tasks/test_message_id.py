"""Message ids are UUIDs of version 7, and say how old they are to whoever asks."""

from __future__ import annotations

import os
import uuid

import pytest

from caas_tasks.message_id import age_s, new_id, new_message_id

NOW_MS = 1_700_000_000_000


def test_they_are_uuids_of_version_7() -> None:
    """RFC 9562's layout: 48 bits of time, version, 12 random bits, variant, 62 random bits."""
    made = uuid.UUID(new_message_id(NOW_MS, os.urandom))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == NOW_MS


def test_the_rfcs_example_is_reproduced() -> None:
    """RFC 9562, appendix A.6."""
    drawn = (0xCC3 << 62 | 0x18C4DC0C0C07398F & (1 << 62) - 1).to_bytes(10, "big")
    made = new_message_id(0x017F22E279B0, lambda _size: drawn)
    assert made == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_no_two_are_alike() -> None:
    """All other bits are random: ids of one millisecond differ."""
    assert len({new_message_id(NOW_MS, os.urandom) for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("later_ms", [0, 1, 250, 60_000])
def test_age(later_ms: int) -> None:
    """The age is the difference between the clocks' readings."""
    assert age_s(new_message_id(NOW_MS, os.urandom), NOW_MS + later_ms) == later_ms / 1_000


def test_age_of_a_jobs_message() -> None:
    """A bulk job's message begins with the job's id in hex."""
    name = f"{new_id(NOW_MS, os.urandom).hex()}-00000007"
    assert age_s(name, NOW_MS + 2_000) == 2.0


def test_age_is_never_negative() -> None:
    """A client's clock may be ahead."""
    assert age_s(new_message_id(NOW_MS, os.urandom), NOW_MS - 5_000) == 0.0


@pytest.mark.parametrize(
    "other",
    [
        *(None, 7, "", "x", "an-id", "7" * 40, "z" * 36, "é" * 40),
        str(uuid.UUID("4dbcbcfe-4800-40a8-badf-c26b73af230c")),
        new_message_id(0, os.urandom),
        "zzzzzzzz-zzzz-7zzz-8zzz-zzzzzzzzzzzz",
    ],
)
def test_what_says_no_time_has_no_age(other: object) -> None:
    """Another form, or a time that no message lives for: none."""
    assert age_s(other, NOW_MS) is None
