"""Traces of requests by OpenTelemetry, made of what became of each (see `worker.outcome`).

An observer: spans are written afterwards, with the times that were noted, so the way of a request
knows nothing of them. A request's trace has its message's id; see `caas_tasks.message_trace`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from caas_tasks import message_id
from caas_tasks.message_trace import message_context
from worker.outcome import OK, Outcome

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000


class TraceObserver:
    """Writes the spans of each request.

    Args:
        tracer: OpenTelemetry's.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def observe(self, outcome: Outcome) -> None:
        """Write one span for the request, and one in it for each stage."""
        from opentelemetry import trace

        beginning = message_context(outcome.message_id)
        if beginning is None:
            return  # not of a client of ours
        parent = trace.set_span_in_context(trace.NonRecordingSpan(beginning))
        taken_ns = outcome.at_ms * _NS_PER_MS
        code = outcome.refusal or next((code for code in outcome.codes if code != OK), OK)
        span = self._tracer.start_span(
            f"caas {outcome.operation.value}",
            parent,
            kind=trace.SpanKind.SERVER,
            attributes={
                "caas.operation": outcome.operation.value,
                "caas.message_id": outcome.message_id,
                "caas.items": outcome.items,
                "caas.code": code,
            },
            start_time=taken_ns,
        )
        if span.is_recording():
            self._stages(outcome, trace.set_span_in_context(span), parent, taken_ns)
        if outcome.refusal is not None:
            span.set_status(trace.StatusCode.ERROR)
        span.end(taken_ns + int(outcome.duration_s * _NS_PER_S))

    def _stages(self, outcome: Outcome, inside: object, parent: object, taken_ns: int) -> None:
        waited_s = message_id.age_s(outcome.message_id, outcome.at_ms)
        if waited_s is not None:
            self._span("wait", parent, taken_ns - int(waited_s * _NS_PER_S), taken_ns)
        stages = outcome.stages
        at_ns = taken_ns
        for name, took_s in (
            ("open", stages.open_s),
            ("work", stages.work_s),
            ("seal", stages.seal_s),
        ):
            end_ns = at_ns + int(took_s * _NS_PER_S)
            self._span(name, inside, at_ns, end_ns)
            at_ns = end_ns

    def _span(self, name: str, parent: object, start_ns: int, end_ns: int) -> None:
        self._tracer.start_span(name, parent, start_time=start_ns).end(end_ns)  # type: ignore[arg-type] # a context
