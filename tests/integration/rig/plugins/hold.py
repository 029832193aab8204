"""A worker with this plugin holds the first operation on data or a password that is `HOLD`."""

from __future__ import annotations

import itertools
from typing import Any

from rig.hold import HOLD, hold_in_worker
from worker import batch

_execute = batch.execute
_times = itertools.count()


def execute(operation: Any, tenant: Any, item: Any, means: Any) -> dict[str, Any]:
    """As the real one, after the test has let it go."""
    data = getattr(item, "sensitive_data", "") or getattr(item, "password", "")
    if data.startswith(HOLD) and next(_times) == 0:
        hold_in_worker()
    return _execute(operation, tenant, item, means)


batch.execute = execute
