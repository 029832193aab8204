"""What the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        detail: what was found.
        advice: what to do, empty when all is well.
    """

    name: str
    is_ok: bool
    detail: str
    advice: str = ""
