"""What a worker keeps account of, as its settings ask: guess limits, API keys, the audit log."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from caas_tasks.errors import ConfigurationError
from worker.audit import AuditLog
from worker.audit_chain import chain_key
from worker.guess_counters import GuessCounters, open_client
from worker.guess_limits import LocalFirstLimits
from worker.guess_windows import Budget
from worker.key_guard import KeyGuard
from worker.key_uses import KeyUses
from worker.settings import WorkerSettings
from worker.user_names import UserNames

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Guards:
    """What the service is given.

    Attributes:
        key_guard: limits of API keys, and when they were last used.
        limits: the guess limit; None when it is switched off.
        user_names: names users to the audit log; None without one.
        audit: None without a folder for it.
    """

    key_guard: KeyGuard
    uses: KeyUses
    limits: LocalFirstLimits | None
    user_names: UserNames | None
    audit: AuditLog | None

    def close(self) -> None:
        """Write what is due, and the audit log's last line."""
        self.uses.close()
        if self.audit is not None:
            self.audit.close()


def build(settings: WorkerSettings, audit_key: bytes | None, now_ms: Callable[[], int]) -> Guards:
    """The guards of one process. Nothing is connected to before it is needed.

    Args:
        audit_key: of the keystore.
        now_ms: Unix time in milliseconds.

    Raises:
        ConfigurationError: the keystore has no audit key and it is needed, or the audit log can't
            be begun and is required.
    """
    needs_key = settings.guess_limits or settings.audit_dir is not None
    if needs_key and audit_key is None:
        raise ConfigurationError(
            "The keystore has no audit key, which guess limits and the audit log need. Every "
            "command that changes the keystore adds one: run `caas key reencrypt-keystore`."
        )
    uses = KeyUses(open_client(settings.brokers()[0], retries=1))
    names = None if audit_key is None else UserNames(audit_key)
    limits = None
    if settings.guess_limits and names is not None:
        budget = Budget.of(settings.guesses_per_minute, settings.guesses_per_day)
        counters = GuessCounters(open_client(settings.counter_broker()), time.monotonic)
        limits = LocalFirstLimits(budget, counters, names, lambda: now_ms() / 1_000)
    elif not settings.guess_limits:
        logger.warning("CAAS_GUESS_LIMITS is off: nothing limits guesses about a user")
    audit = None if audit_key is None else _audit(settings, audit_key, now_ms)
    return Guards(
        KeyGuard(time.monotonic, uses), uses, limits, names if audit is not None else None, audit
    )


def _audit(
    settings: WorkerSettings, audit_key: bytes, now_ms: Callable[[], int]
) -> AuditLog | None:
    if settings.audit_dir is None:
        return None
    problem: str | None
    try:
        return AuditLog(
            settings.audit_dir,
            chain_key(audit_key),
            f"{socket.gethostname()}:{os.getpid()}",
            now_ms=now_ms,
            random_bytes=os.urandom,
            max_bytes=settings.audit_max_bytes,
            is_required=settings.audit_required,
        )
    except OSError as error:
        problem = error.strerror
    raise ConfigurationError(f"CAAS_AUDIT_DIR: the audit log cannot be written: {problem}.")
