"""Sending the spans of a worker or gateway to a collector, by OTLP over HTTP.

OpenTelemetry's own variables say where to (`OTEL_EXPORTER_OTLP_ENDPOINT`) and what is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from caas_tasks.message_trace import require_opentelemetry

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


def open_provider(service: str, ratio: float) -> TracerProvider:
    """A provider that exports in the background.

    Args:
        service: the part's name, such as `caas-worker`.
        ratio: the share of traces that is kept, 0 to 1. The choice rests on the trace id, so that
            all workers keep the same messages.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """
    require_opentelemetry()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    share = TraceIdRatioBased(ratio)
    provider = TracerProvider(
        sampler=ParentBased(root=share, remote_parent_sampled=share),
        resource=Resource.create({"service.name": service}),
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
