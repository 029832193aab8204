"""What an outcome counts."""

from __future__ import annotations

from typing import Any

import pytest

from caas_tasks.names import Operation
from worker.outcome import Outcome, Stages, count_codes

LIMITED = {"error": {"code": "rate_limited", "message": "m"}}
BAD = {"error": {"code": "invalid_request", "message": "m"}}
GOOD = {"valid": True}


@pytest.mark.parametrize(
    ("answers", "codes"),
    [
        ([GOOD, GOOD], {"ok": 2}),
        ([GOOD, BAD, LIMITED, BAD], {"ok": 1, "invalid_request": 2, "rate_limited": 1}),
        ([BAD], {"invalid_request": 1}),
    ],
)
def test_codes_of_a_batch(answers: list[Any], codes: dict[str, int]) -> None:
    """Each answer counts once, under its code or as ok; a code of none is left out."""
    assert count_codes(answers) == codes


def test_refused_after_the_work() -> None:
    """A reply that was kept back counts as refused as a whole, and the rest stays."""
    outcome = Outcome(
        message_id="id",
        operation=Operation.VERIFY,
        at_ms=1,
        tenant="shop",
        api_key_id="k",
        key_version=2,
        items=3,
        refusal=None,
        codes={"ok": 3},
        users=("u",),
        duration_s=0.5,
        stages=Stages(),
    )
    refused = outcome.refused("unavailable")
    assert (refused.items, refused.refusal, refused.codes) == (0, "unavailable", {"unavailable": 1})
    assert (refused.tenant, refused.users, refused.at_ms) == ("shop", ("u",), 1)
