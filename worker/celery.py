"""The worker's Celery app, where `celery -A worker worker` and `caas worker` find it.

Reading the environment and making the app connects to nothing. The keystore is opened when the
worker starts; one that can't be read stops it with one line on standard error.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final, NoReturn

from celery import Celery
from celery.signals import (
    celeryd_init,
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)

from caas_tasks import log_format
from caas_tasks.celery_app import create_app
from caas_tasks.errors import ConfigurationError
from caas_tasks.redis_url import BrokerUrl
from caas_tasks.settings import load_settings
from worker import about, bulk, pulse
from worker.runtime import RUNTIME
from worker.settings import WorkerSettings
from worker.tasks import register

EXIT_CONFIGURATION: Final = 78  # EX_CONFIG of sysexits.h
# One line a task at INFO costs more than the task: these two say so only when asked to debug.
_CHATTY_LOGGERS: Final = ("celery.worker.strategy", "celery.app.trace")


def _fail(error: ConfigurationError) -> NoReturn:
    sys.stderr.write(f"caas worker: {error}\n")
    raise SystemExit(EXIT_CONFIGURATION)


def _own_broker(settings: WorkerSettings) -> BrokerUrl:
    brokers = settings.brokers()
    index = settings.broker_index
    if index is None and len(brokers) > 1:
        raise ConfigurationError(
            "CAAS_BROKER_INDEX: is not set; a worker serves one of several brokers, and all "
            "of them need workers."
        )
    if (index or 0) >= len(brokers):
        raise ConfigurationError(f"CAAS_BROKER_INDEX: CAAS_BROKER_URL names {len(brokers)}.")
    return brokers[index or 0]


def build() -> Celery:
    """The app for the environment's settings; a wrong setting ends the process with one line."""
    try:
        settings = load_settings(WorkerSettings)
        celery_app = create_app(_own_broker(settings))
    except ConfigurationError as error:
        _fail(error)
    celery_app.conf.worker_consumer = "worker.consumer:Consumer"
    register(celery_app, RUNTIME)
    bulk.connect(celery_app)
    about.register()
    pulse.connect(celery_app, pulse.Pulse(settings.health_file))
    _connect_signals(settings)
    return celery_app


def _connect_signals(settings: WorkerSettings) -> None:
    def prepare(options: dict[str, Any] | None = None, **_kwargs: Any) -> None:
        try:
            RUNTIME.watch.prepare(settings, str((options or {}).get("pool")))
        except ConfigurationError as error:
            _fail(error)

    def serve_metrics(sender: Any = None, **_kwargs: Any) -> None:
        RUNTIME.watch.serve(sender)

    def open_keystore(**_kwargs: Any) -> None:
        try:
            RUNTIME.start(settings)
        except ConfigurationError as error:
            _fail(error)

    def configure_logging(loglevel: int | str | None = None, **_kwargs: Any) -> None:
        level = logging.getLevelName(settings.log_level) if loglevel is None else loglevel
        log_format.configure(settings, level)
        for name in _CHATTY_LOGGERS:
            is_debug = logging.getLogger().isEnabledFor(logging.DEBUG)
            logging.getLogger(name).setLevel(logging.DEBUG if is_debug else logging.WARNING)

    def stop(pid: int | None = None, **_kwargs: Any) -> None:
        RUNTIME.stop()
        RUNTIME.watch.stop()
        if pid is not None:
            RUNTIME.watch.forget_process(pid)

    celeryd_init.connect(prepare, weak=False)
    celeryd_init.connect(open_keystore, weak=False)
    worker_ready.connect(serve_metrics, weak=False)
    worker_process_init.connect(open_keystore, weak=False)
    worker_shutdown.connect(stop, weak=False)
    worker_process_shutdown.connect(stop, weak=False)
    setup_logging.connect(configure_logging, weak=False)


app = build()
