"""arq's worker on uvloop, as its documentation starts one in a program."""

from __future__ import annotations

import asyncio

import uvloop
from arq.worker import create_worker

from benchmarks.peers.arq.app import WorkerSettings


async def main() -> None:
    worker = create_worker(WorkerSettings, handle_signals=False)
    await worker.async_run()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
