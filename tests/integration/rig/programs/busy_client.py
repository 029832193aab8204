"""A client that many threads call through without end; writes a line after every so many calls."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress

from producer_client import Client, ServiceError

THREADS = 32
CALLS_A_LINE = 200
USER = "4dbcbcfe-4800-40a8-badf-c26b73af230c"


def _call(client: Client, caller: int) -> None:
    number = 0
    while True:
        number += 1
        with suppress(ServiceError):
            client.encrypt(USER, f"{caller} {number}")
        if caller == 0 and number % CALLS_A_LINE == 0:
            sys.stdout.write("calls go on\n")


def main() -> None:
    with Client.from_env() as client:
        threads = [threading.Thread(target=_call, args=(client, n)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


main()
