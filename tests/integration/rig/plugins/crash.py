"""A worker with this plugin crashes inside an operation on data that ends in `CRASH`."""

from __future__ import annotations

from typing import Any

from worker import service

CRASH = "-crash"
_execute = service.execute


def execute(operation: Any, tenant: Any, item: Any) -> dict[str, Any]:
    """As the real one, or an exception that holds the whole input, as decoding errors do."""
    data = getattr(item, "sensitive_data", "")
    if data.endswith(CRASH):
        raise UnicodeDecodeError("utf-8", data.encode(), 0, 1, data)
    return _execute(operation, tenant, item)


service.execute = execute
