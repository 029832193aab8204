"""The trace of a message: its id is the trace's, so that both sides know it and nothing travels.

A message id is a UUID: 128 bits, as a trace id of W3C Trace Context, and its last 62 are random. It
is bound to the sealed request, so a broker can't move a message to another trace.
"""

from __future__ import annotations

import hashlib
import uuid
from importlib.util import find_spec
from typing import TYPE_CHECKING

from caas_tasks.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext


def require_opentelemetry() -> None:
    """Refuse where traces are asked for and can't be made.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """
    if find_spec("opentelemetry") is None:
        raise ConfigurationError(
            "CAAS_TRACING: OpenTelemetry is not installed: pip install 'caas[otel]'."
        )


def message_context(message_id: str) -> SpanContext | None:
    """What both sides name as a message's beginning; None when its id is not a UUID."""
    from opentelemetry.trace import SpanContext, TraceFlags

    try:
        trace_id = uuid.UUID(message_id[:36]).int
    except ValueError:
        return None
    span_id = hashlib.sha256(b"caas/1/trace\x00" + message_id.encode()).digest()[:8]
    return SpanContext(
        trace_id,
        int.from_bytes(span_id, "big") or 1,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
