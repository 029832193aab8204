"""A rotation under load at full length: 20,000 calls, three workers, no error."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rig.rotation import Rotation
from rig.stack import Stack

pytestmark = pytest.mark.soak

CALLS = 20_000


def test_20_000_calls_while_keys_rotate(
    new_stack: Callable[..., Stack], say: Callable[[str], None]
) -> None:
    """No call fails; every old value is verified, then unavailable once its version is disabled."""
    rotation = Rotation(new_stack())
    rotation.rotate(CALLS)
    old, new = rotation.made_with(1), rotation.made_with(2)
    calls = dict(rotation.traffic.calls)
    say(f"{rotation.traffic.calls.total()} calls {calls}; {len(old)} old values, {len(new)} new")
    assert (rotation.traffic.wrong, bool(old), bool(new)) == ([], True, True)
    assert rotation.each(rotation.is_verified, old)
    rotation.disable_old()
    assert rotation.each(rotation.is_unavailable, old)
    assert rotation.each(rotation.is_verified, new)
