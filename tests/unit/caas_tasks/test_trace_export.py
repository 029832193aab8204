"""Spans leave for where OpenTelemetry's own variables say, by OTLP over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from caas_tasks.trace_export import open_provider


class Collector(HTTPServer):
    """Stands in for a collector: keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[str, bytes]] = []

    def spans(self) -> list[tuple[str, str]]:
        """Service and name of each span that came."""
        found = []
        for _, body in self.received:
            for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                of = {one.key: one.value.string_value for one in part.resource.attributes}
                names = [span.name for scope in part.scope_spans for span in scope.spans]
                found += [(of["service.name"], name) for name in names]
        return found


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_parts: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        yield server
        server.shutdown()
        thread.join()


def send(ratio: float) -> None:
    """Make a span, and send what is kept."""
    provider = open_provider("caas-worker", ratio)
    provider.get_tracer("caas").start_span("work").end()
    provider.shutdown()


def test_a_span_comes_to_the_collector(collector: Collector) -> None:
    """As the worker's, at the path that OTLP names."""
    send(1.0)
    assert {path for path, _ in collector.received} == {"/v1/traces"}
    assert collector.spans() == [("caas-worker", "work")]


def test_what_is_not_kept_is_not_sent(collector: Collector) -> None:
    """A share of 0 keeps no trace."""
    send(0.0)
    assert collector.received == []
