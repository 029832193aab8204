"""Collects bulk jobs in a process of its own, which knows nothing of them but their handles.

Takes a JSON object with `handles` and `timeout_s` on standard input; writes a list of lists, one a
job, of encrypted values, or of one error's class name.
"""

from __future__ import annotations

import json
import sys

from producer_client import Client, Encrypted, ServiceError


def _values(client: Client, handle: str, timeout_s: float) -> list[str]:
    try:
        results = client.collect(handle, timeout_s=timeout_s)
    except ServiceError as error:
        return [type(error).__name__]
    return [
        result.encrypted_data if isinstance(result, Encrypted) else type(result).__name__
        for result in results
    ]


def main() -> None:
    order = json.load(sys.stdin)
    with Client.from_env() as client:
        values = [_values(client, handle, order["timeout_s"]) for handle in order["handles"]]
    json.dump(values, sys.stdout)


main()
