"""Sizes and times that client, gateway and worker hold each other to (docs/spec.md, section 7)."""

from __future__ import annotations

from typing import Final

MAX_ITEM_BYTES: Final = 64 * 1024
"""Largest `sensitiveData`, `value` or `password`, in bytes of UTF-8, or `plaintext`, decoded."""

MAX_CONTEXT_BYTES: Final = 1_024
"""Largest decoded `context`: a name for what is sealed, not the data."""

MAX_HASH_CHARS: Final = 256
"""Longest password hash that is looked at; a real one has about 110."""

MAX_ITEMS: Final = 1_000
"""Most items in one message or one HTTP batch."""

MAX_PAYLOAD_BYTES: Final = 1024 * 1024
"""Largest JSON payload of one message, in bytes, before sealing."""

MAX_REFERENCE_CHARS: Final = 256
"""Longest `reference` that a batch echoes."""

MAX_FIELD_NAME_CHARS: Final = 128
"""Longest blind-index field name."""

MAX_DIGEST_CHARS: Final = 1_024
"""Longest legacy digest that `wrap` takes."""

MAX_API_KEY_CHARS: Final = 256
"""Longest text that is looked at as an API key; a real one has 67."""

MAX_LIFETIME_MS: Final = 25 * 60 * 60 * 1_000
"""Furthest a message's expiry may lie ahead: a bulk job's day and an hour for clocks and queues."""

CLOCK_TOLERANCE_MS: Final = 5_000
"""How far a worker's clock may run ahead of a client's before in-time messages count as expired."""
