"""The bulk lane's side of the worker: jobs are claimed from the ledger, overdue ones sent again."""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

import redis
from celery import Celery, Task
from celery.exceptions import Ignore
from celery.signals import worker_ready, worker_shutting_down

from caas_tasks.job_ledger import JobLedger
from caas_tasks.names import Lane
from caas_tasks.publishing import publish

SWEEP_INTERVAL_S: Final = 2.0
"""How often each worker of the bulk lane looks for overdue jobs."""

logger = logging.getLogger(__name__)


def claim(task: Task) -> None:
    """Begin a job of the bulk lane; messages of other lanes pass.

    Raises:
        Ignore: the job is done, cancelled or unknown, or the ledger can't be asked now: then it is
            sent again later. Celery stores nothing.
    """
    if task.request.delivery_info.get("routing_key") != Lane.BULK.value:
        return
    try:
        is_claimed = task.backend.ledger.claim(task.request.id)
    except redis.RedisError:
        is_claimed = False
    if not is_claimed:
        raise Ignore


def sweep(app: Celery, ledger: JobLedger) -> int:
    """Send overdue jobs again; how many.

    Raises:
        redis.RedisError: Redis can't be reached.
    """
    entries = ledger.overdue()
    if entries:
        with app.connection_for_write() as connection, connection.channel() as channel:
            for entry in entries:
                publish(channel, Lane.BULK, entry.task_name, entry.job_id, entry.sealed)
    return len(entries)


class Sweeper:
    """A thread that sweeps for as long as the worker runs."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="caas-sweeper", daemon=True).start()

    def stop(self) -> None:
        """End after the sweep under way."""
        self._stopped.set()

    def _run(self) -> None:
        ledger = self._app.backend.ledger
        while not self._stopped.wait(SWEEP_INTERVAL_S):
            try:
                resent = sweep(self._app, ledger)
            except Exception as error:  # noqa: BLE001 - the thread must outlive a broker's restart
                logger.warning("sweep of the bulk lane failed: %s", type(error).__name__)
            else:
                if resent:
                    logger.info("bulk lane: %d overdue jobs sent again", resent)


def connect(app: Celery) -> None:
    """Sweep in each worker that consumes the bulk lane, while it does."""
    sweeper = Sweeper(app)

    def start(sender: Any = None, **_kwargs: Any) -> None:
        queues = [queue.name for queue in sender.task_consumer.queues]
        if Lane.BULK.value in queues:
            sweeper.start()

    def stop(**_kwargs: Any) -> None:
        sweeper.stop()

    worker_ready.connect(start, weak=False)
    worker_shutting_down.connect(stop, weak=False)
