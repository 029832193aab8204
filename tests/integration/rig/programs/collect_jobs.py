"""Collects bulk jobs in a process of its own, which knows nothing of them but their handles.

Takes a JSON object on standard input, with `handles` and the `timeout_s` of all of them; writes a
list of lists, one a job, of encrypted values, or of one error's class name.
"""

from __future__ import annotations

import json
import sys
import time

from producer_client import Client, Encrypted, ServiceError

MIN_TIMEOUT_S = 0.01


def _values(client: Client, handle: str, end: float) -> list[str]:
    try:
        left_s = max(MIN_TIMEOUT_S, end - time.monotonic())
        results = client.collect(handle, timeout_s=left_s)
    except ServiceError as error:
        return [type(error).__name__]
    return [
        result.encrypted_data if isinstance(result, Encrypted) else type(result).__name__
        for result in results
    ]


def main() -> None:
    order = json.load(sys.stdin)
    with Client.from_env() as client:
        end = time.monotonic() + order["timeout_s"]
        values = [_values(client, handle, end) for handle in order["handles"]]
    json.dump(values, sys.stdout)


main()
