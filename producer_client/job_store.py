"""Where a client puts bulk jobs and finds their results: the ledger, then the bulk lane's queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import redis

from caas_tasks.broker_fault import unavailable
from caas_tasks.broker_transport import NO_RETRY
from caas_tasks.errors import ServiceUnavailableError
from caas_tasks.job_ledger import JobLedger, LedgerEntry
from caas_tasks.redis_connection import connect
from caas_tasks.redis_url import BrokerUrl
from caas_tasks.reply_backend import decode_result
from producer_client.publisher import SOCKET_TIMEOUT_S, Publisher
from producer_client.transport import OutgoingMessage

T = TypeVar("T")


class RedisJobStore:
    """Jobs over Redis. Thread-safe; connects when first used."""

    def __init__(self, url: BrokerUrl) -> None:
        self._url = url
        self._publisher = Publisher(url)
        self._lock = threading.Lock()

    @cached_property
    def _redis(self) -> redis.Redis:
        return connect(
            self._url,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            retry=NO_RETRY,
            client_name="caas-client",
        )

    @cached_property
    def _ledger(self) -> JobLedger:
        return JobLedger(self._redis, time.time)

    def enter(self, messages: Sequence[OutgoingMessage]) -> None:
        """Write jobs down and send them. What can't be sent now, a worker's sweep sends later.

        Raises:
            ServiceUnavailableError: they could not be written down, none of them.
        """
        entries = [
            LedgerEntry(message.message_id, message.operation.task_name, message.sealed)
            for message in messages
        ]
        self._ask(lambda ledger: ledger.enter(entries))
        with self._lock:
            for message in messages:
                try:
                    self._publisher.send(message)
                except ServiceUnavailableError:
                    return

    def results(self, job_ids: Sequence[str]) -> list[str | None]:
        """The sealed results, None where there is none yet.

        Raises:
            ServiceUnavailableError: Redis can't be reached.
        """
        raw_results = self._ask(lambda ledger: ledger.results(job_ids))
        return [None if raw is None else _sealed(raw) for raw in raw_results]

    def count_results(self, job_ids: Sequence[str]) -> int:
        """How many have a result."""
        return self._ask(lambda ledger: ledger.count_results(job_ids))

    def count_open(self, job_ids: Sequence[str]) -> int:
        """How many are still to be done."""
        return self._ask(lambda ledger: ledger.count_open(job_ids))

    def cancel(self, job_ids: Sequence[str]) -> None:
        """Take jobs back and drop their results."""
        self._ask(lambda ledger: ledger.cancel(job_ids))

    def close(self) -> None:
        """Close connections."""
        self._publisher.close()
        if "_redis" in self.__dict__:
            self._redis.close()

    def _ask(self, question: Callable[[JobLedger], T]) -> T:
        failure: ServiceUnavailableError
        try:
            return question(self._ledger)
        except (redis.RedisError, OSError) as error:
            failure = unavailable(error)
        raise failure


def _sealed(raw: bytes) -> str | None:
    sealed: Any = decode_result(raw).get("result")
    return sealed if isinstance(sealed, str) else None
