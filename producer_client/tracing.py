"""Traces of calls by OpenTelemetry: one span a call, tied to its message's trace by the message id.

No trace context travels. A message carries the calls of many callers, so it belongs to no one's
trace; its own trace is named by its id, which both sides have (docs/adr, "traces"). A call's span
links to it. Without a tracer all of this is one comparison with None.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from caas_tasks.errors import ServiceError
from caas_tasks.message_trace import message_context, require_opentelemetry
from producer_client.calls import Call

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


def open_tracer() -> Tracer:
    """The tracer of the application's own tracer provider.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """
    require_opentelemetry()
    from opentelemetry import trace

    return trace.get_tracer("caas")


class CallTracer:
    """Begins and ends the spans of calls.

    Args:
        tracer: OpenTelemetry's.
    """

    def __init__(self, tracer: Tracer) -> None:
        from opentelemetry.trace import SpanKind, StatusCode

        self._tracer = tracer
        self._kind = SpanKind.CLIENT
        self._error = StatusCode.ERROR

    def begin(self, call: Call) -> None:
        """In the caller's thread or task, whose current span becomes the parent."""
        if call.span is None:
            call.span = self._tracer.start_span(
                f"caas {call.operation.value}",
                kind=self._kind,
                attributes={
                    "caas.operation": call.operation.value,
                    "caas.items": len(call.encoded),
                },
            )

    def sent(self, message_id: str, calls: Iterable[Call]) -> None:
        """The calls' items are in this message."""
        context = message_context(message_id)
        for call in calls:
            if call.span is not None and context is not None:
                call.span.add_link(context)
                call.span.set_attribute("caas.message_id", message_id)

    def end(self, calls: Iterable[Call], error: ServiceError | None = None) -> None:
        """The calls have their outcome, or this error."""
        for call in calls:
            self._end(call.span, error or call.outcome)
            call.span = None

    def _end(self, span: Any, outcome: object) -> None:
        if span is None:
            return
        if isinstance(outcome, ServiceError):
            span.set_attribute("caas.code", outcome.code)
            span.set_status(self._error)
        span.end()
