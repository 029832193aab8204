"""A worker with this plugin crashes inside an operation on data that ends in `CRASH`."""

from __future__ import annotations

from typing import Any

from worker import batch

CRASH = "-crash"
_execute = batch.execute


def execute(operation: Any, tenant: Any, item: Any, means: Any) -> dict[str, Any]:
    """As the real one, or an exception that holds the whole input, as decoding errors do."""
    data = getattr(item, "sensitive_data", "")
    if data.endswith(CRASH):
        raise UnicodeDecodeError("utf-8", data.encode(), 0, 1, data)
    return _execute(operation, tenant, item, means)


batch.execute = execute
