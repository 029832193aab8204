"""One program with one client, used by two threads and, while they run, by a forked child.

Takes a JSON list of three lists of pairs on standard input; writes one of three lists of values.
"""

from __future__ import annotations

import json
import os
import sys
import threading

from producer_client import Client

Pairs = list[list[str]]


def _values(client: Client, pairs: Pairs) -> list[str]:
    return [client.encrypt(uuid, data, timeout_s=60).encrypted_data for uuid, data in pairs]


def _in_child(client: Client, pairs: Pairs) -> list[str]:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        with os.fdopen(write_end, "w") as pipe:
            json.dump(_values(client, pairs), pipe)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    values: list[str] = json.loads(text)
    return values


def main() -> None:
    first, second, third = json.load(sys.stdin)
    results: dict[int, list[str]] = {}
    with Client.from_env() as client:
        client.encrypt(*first[0], timeout_s=60)  # the client is in use when it is forked
        threads = [
            threading.Thread(target=lambda n=n, p=p: results.update({n: _values(client, p)}))
            for n, p in enumerate((first, second))
        ]
        for thread in threads:
            thread.start()
        results[2] = _in_child(client, third)
        for thread in threads:
            thread.join()
    json.dump([results[index] for index in range(3)], sys.stdout)


main()
