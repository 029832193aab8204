"""A client's memory with 10,000 calls that wait, above what it holds at rest.

Started as `python -m benchmarks.waiting_calls CALLS` beside a broker without workers; writes bytes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys

from benchmarks.stage import rss_bytes
from benchmarks.work import pairs
from producer_client import AsyncClient, ServiceError

SETTLE_S = 1.0
TIMEOUT_S = 60.0


async def main(calls: int) -> int:
    """Start the calls, let them be sent and sent again, and look."""
    async with AsyncClient.from_env() as client:
        try:  # connects, draws a session, starts the client's threads
            await client.encrypt(*pairs(1)[0], timeout_s=0.2)
        except ServiceError:
            pass
        gc.collect()
        idle_bytes = rss_bytes(os.getpid())
        waiting = [
            asyncio.create_task(client.encrypt(*pair, timeout_s=TIMEOUT_S)) for pair in pairs(calls)
        ]
        await asyncio.sleep(SETTLE_S)
        if any(task.done() for task in waiting):
            raise SystemExit("A call has ended: a worker runs, or the client refused it.")
        grown_bytes = rss_bytes(os.getpid()) - idle_bytes
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return grown_bytes


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(main(int(sys.argv[1])))}\n")
