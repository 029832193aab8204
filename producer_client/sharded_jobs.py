"""Bulk jobs over several brokers: a job is wholly on one, which is found by asking.

A handle does not name its broker: between submitting and collecting, brokers are added, renamed and
reordered, and the ids of a job are random, so that only its own broker knows them. Who asks
remembers. With a broker away, a job that no other knows can't be told from a lost one: that is
ServiceUnavailableError, never "not known".
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from caas_tasks.errors import ServiceUnavailableError
from producer_client.transport import JobStore, OutgoingMessage

REMEMBERED: Final = 1_024
"""Jobs whose broker is remembered."""

T = TypeVar("T")


class ShardedJobStore:
    """The job stores of several brokers as one."""

    def __init__(self, stores: Sequence[JobStore]) -> None:
        self._stores = list(stores)
        self._turn = 0
        self._known: OrderedDict[str, int] = OrderedDict()

    def enter(self, messages: Sequence[OutgoingMessage]) -> None:
        """Take jobs, all or none, on the next broker in turn that can be reached.

        A broker that took them and answered too late has them as well: they are done twice.

        Raises:
            ServiceUnavailableError: none can be reached.
        """
        failure = ServiceUnavailableError()
        self._turn = (self._turn + 1) % len(self._stores)
        for step in range(len(self._stores)):
            index = (self._turn + step) % len(self._stores)
            try:
                self._stores[index].enter(messages)
            except ServiceUnavailableError as error:
                failure = error
            else:
                self._remember(messages[0].message_id, index)
                return
        raise failure

    def results(self, job_ids: Sequence[str]) -> list[str | None]:
        """The sealed results, None where there is none yet."""
        return self._ask(job_ids, lambda store: store.results(job_ids))

    def count_results(self, job_ids: Sequence[str]) -> int:
        """How many have a result."""
        return self._ask(job_ids, lambda store: store.count_results(job_ids))

    def count_open(self, job_ids: Sequence[str]) -> int:
        """How many are still to be done."""
        return self._ask(job_ids, lambda store: store.count_open(job_ids))

    def cancel(self, job_ids: Sequence[str]) -> None:
        """Take jobs back and drop their results."""
        self._ask(job_ids, lambda store: store.cancel(job_ids))

    def close(self) -> None:
        """Close connections."""
        for store in self._stores:
            store.close()

    def _ask(self, job_ids: Sequence[str], question: Callable[[JobStore], T]) -> T:
        """What the broker of these jobs answers; any broker's, when all say they know none."""
        if not job_ids:
            return question(self._stores[0])
        index = self._find(job_ids)
        return question(self._stores[0 if index is None else index])

    def _find(self, job_ids: Sequence[str]) -> int | None:
        failure: ServiceUnavailableError | None = None
        for index in self._in_order(job_ids[0]):
            store = self._stores[index]
            try:
                is_there = store.count_open(job_ids) > 0 or store.count_results(job_ids) > 0
            except ServiceUnavailableError as error:
                failure = error
                continue
            if is_there:
                self._remember(job_ids[0], index)
                return index
        if failure is not None:
            raise failure
        return None

    def _in_order(self, job_id: str) -> Iterator[int]:
        """All brokers, the one that is remembered first."""
        known = self._known.get(_job(job_id))
        if known is not None:
            yield known
        yield from (index for index in range(len(self._stores)) if index != known)

    def _remember(self, job_id: str, index: int) -> None:
        self._known[_job(job_id)] = index
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def _job(message_id: str) -> str:
    """What the ids of one job's messages have in common."""
    return message_id.partition("-")[0]
