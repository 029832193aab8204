"""Limits and last use of API keys: what a worker keeps of each key that asks.

A key's limit is a token bucket (as in RFC 2697, section 3) of one second, by this worker's own
count: a fleet of N worker processes gives a key up to N times its limit. Each item of a request
counts, so that a batch is no way around.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence

from caas_tasks.errors import RateLimitedError
from caas_tasks.items import Item
from caas_tasks.messages import RefusedItem
from worker.key_uses import KeyUses
from worker.keystore.document import ApiKey


class KeyGuard:
    """Counts what each API key asks for.

    Args:
        monotonic: seconds that never go back.
        uses: notes when a key was last used; None keeps no note.
    """

    def __init__(self, monotonic: Callable[[], float], uses: KeyUses | None = None) -> None:
        self._monotonic = monotonic
        self._uses = uses
        self._lock = threading.Lock()
        # Only keys of the keystore get here, so there are few.
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(
        self, api_key: ApiKey, items: Sequence[Item | RefusedItem], now_ms: int
    ) -> Sequence[Item | RefusedItem]:
        """The items, those over the key's limit refused in their places.

        Args:
            now_ms: Unix time in milliseconds.
        """
        if self._uses is not None:
            self._uses.note(api_key.key_id, now_ms // 1_000)
        rate = api_key.requests_per_s
        if rate is None:
            return items
        admitted = self._take(api_key.key_id, rate, len(items))
        if admitted == len(items):
            return items
        over = items[admitted:]
        error = RateLimitedError(
            "Too many requests with this API key.", retry_after_s=math.ceil(len(over) / rate)
        )
        return [*items[:admitted], *(RefusedItem(error, item.reference) for item in over)]

    def _take(self, key_id: str, rate: int, wanted: int) -> int:
        now = self._monotonic()
        with self._lock:
            tokens, since = self._buckets.get(key_id, (float(rate), now))
            # A limit that was lowered counts at once: the bucket never holds more than a second's.
            tokens = min(float(rate), tokens + (now - since) * rate)
            given = min(wanted, int(tokens))
            self._buckets[key_id] = tokens - given, now
        return given
