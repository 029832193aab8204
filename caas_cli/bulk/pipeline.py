"""Keeps some chunks under way and settles them in the order of the input.

The main thread reads and writes; a few others wait for answers. So reading, asking and writing go
on at the same time, with a bounded number of chunks in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from caas_cli.bulk.chunks import Chunk, InputError, Outcome, Settled


def run(
    chunks: Iterable[Chunk],
    ask: Callable[[Chunk], list[Outcome]],
    settle: Callable[[Settled], None],
    *,
    under_way: int,
    stop: Callable[[], None],
) -> None:
    """Ask about every chunk and settle each, in order.

    Args:
        chunks: read in this thread, as far ahead as `under_way` allows.
        ask: called in other threads.
        settle: called in this thread.
        under_way: most chunks that are asked about at a time.
        stop: called before this returns early; makes every `ask` end soon.

    Raises:
        InputError: an input that can't be read on; what was read before it is settled first.
        BaseException: what `ask` or `settle` raised; nothing after it is settled.
    """
    waiting: deque[tuple[Chunk, Future[list[Outcome]]]] = deque()

    def settle_first() -> None:
        chunk, future = waiting[0]
        settled = Settled.of(chunk, future.result())
        waiting.popleft()
        settle(settled)

    problem: InputError | None = None
    pool = ThreadPoolExecutor(under_way, thread_name_prefix="caas-bulk")
    try:
        try:
            for chunk in chunks:
                waiting.append((chunk, pool.submit(ask, chunk)))
                while len(waiting) >= under_way or (waiting and waiting[0][1].done()):
                    settle_first()
        except InputError as error:
            problem = error
        while waiting:
            settle_first()
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if problem is not None:
        raise problem
