"""Bulk jobs in tests: their pairs, and their results as another process collects them."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Sequence

from rig.process import DEADLINE_S, PROJECT, environment
from rig.stack import Stack


def pairs_of(name: str, count: int) -> list[tuple[str, str]]:
    """Pairs of UUID and data, all different."""
    return [
        (str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{k}")), f"{name} {k}") for k in range(count)
    ]


def collect_elsewhere(
    stack: Stack, handles: Sequence[str], timeout_s: float = DEADLINE_S
) -> list[list[str]]:
    """What `Client.collect` gives for each handle, in a process of its own.

    Args:
        timeout_s: for all of them together.
    """
    done = subprocess.run(
        [sys.executable, "-m", "rig.programs.collect_jobs"],
        cwd=PROJECT,
        env=environment(stack.env),
        input=json.dumps({"handles": list(handles), "timeout_s": timeout_s}),
        capture_output=True,
        text=True,
        timeout=timeout_s + DEADLINE_S,
        check=True,
    )
    values: list[list[str]] = json.loads(done.stdout)
    return values
