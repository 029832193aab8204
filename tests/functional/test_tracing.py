"""From a client's call to a worker's operation: one trace a message, named alike on both sides."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from caas_tasks.message_id import new_message_id
from caas_tasks.names import Operation
from producer_client import AsyncClient, Client, ServiceError, UnauthorizedError
from producer_client.testing import InMemoryService
from worker.outcome import Outcome, Stages
from worker.tracing import TraceObserver

UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
SECRET = "canary-9d1c"
NOW_MS = 1_700_000_000_000


class Traces:
    """A provider that keeps its spans."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("test")

    def spans(self, name: str = "") -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if name in span.name]


@pytest.fixture
def traces() -> Traces:
    return Traces()


@pytest.fixture(scope="module")
def service() -> InMemoryService:
    return InMemoryService()


@pytest.fixture
def client(service: InMemoryService, traces: Traces) -> Iterator[Client]:
    with Client(**service._arguments(None, 5.0), tracer=traces.tracer) as opened:
        yield opened


def outcome(message_id: str, **changes: Any) -> Outcome:
    """What a worker notes of a request that came 250 ms after it was made."""
    noted: dict[str, Any] = {
        "message_id": message_id,
        "operation": Operation.ENCRYPT,
        "at_ms": NOW_MS + 250,
        "tenant": "shop",
        "api_key_id": "id",
        "key_version": 1,
        "items": 1,
        "refusal": None,
        "codes": {"ok": 1},
        "users": (),
        "duration_s": 0.006,
        "stages": Stages(0.001, 0.002, 0.003),
        **changes,
    }
    return Outcome(**noted)


def test_a_call_is_one_span(client: Client, traces: Traces) -> None:
    """Named for its operation, under the caller's own span."""
    with traces.tracer.start_as_current_span("request") as request:
        client.encrypt(UUID, SECRET)
    (span,) = traces.spans("caas encrypt")
    assert span.parent is not None
    assert span.parent.span_id == request.get_span_context().span_id
    assert span.status.is_ok or span.status.is_unset


def test_both_sides_name_a_messages_trace_alike(client: Client, traces: Traces) -> None:
    """A call's span links to the trace that the worker's spans are in."""
    client.encrypt(UUID, SECRET)
    (call,) = traces.spans("caas encrypt")
    message_id = str((call.attributes or {})["caas.message_id"])
    TraceObserver(traces.tracer).observe(outcome(message_id))
    worker = next(span for span in traces.spans("caas encrypt") if span is not call)
    (link,) = call.links
    assert link.context.trace_id == worker.context.trace_id == int(message_id.replace("-", ""), 16)
    assert worker.parent is not None
    assert worker.parent.span_id == link.context.span_id


def test_stages_are_spans_with_the_times_that_were_noted(traces: Traces) -> None:
    """The wait before the worker took it, then opening, work and sealing, one after the other."""
    TraceObserver(traces.tracer).observe(outcome(new_message_id(NOW_MS, bytes)))
    spans = {span.name: span for span in traces.spans()}
    lasted = {name: (span.end_time or 0) - (span.start_time or 0) for name, span in spans.items()}
    assert lasted == {
        "wait": 250_000_000,
        "open": 1_000_000,
        "work": 2_000_000,
        "seal": 3_000_000,
        "caas encrypt": 6_000_000,
    }
    assert spans["wait"].end_time == spans["open"].start_time == (NOW_MS + 250) * 1_000_000
    assert spans["seal"].end_time == spans["caas encrypt"].end_time


def test_a_failed_call_says_its_code(client: Client, traces: Traces) -> None:
    """An error's code stands in the span, not its message."""
    with pytest.raises(UnauthorizedError):
        client.request_items(Operation.ENCRYPT, [{"userUUID": UUID}], api_key="caas_x")
    (span,) = traces.spans("caas encrypt")
    assert ((span.attributes or {})["caas.code"], span.status.is_ok) == ("unauthorized", False)


def test_a_call_that_gave_up_ends_its_span(service: InMemoryService, traces: Traces) -> None:
    """A closed client's call has a span with the code it failed with."""
    client = Client(**service._arguments(None, 5.0), tracer=traces.tracer)
    client.close()
    with pytest.raises(ServiceError):
        client.encrypt(UUID, SECRET)
    (span,) = traces.spans()
    assert (span.attributes or {})["caas.code"] == "unavailable"


def test_asyncio_calls_are_traced(service: InMemoryService, traces: Traces) -> None:
    """Each task's call under the task's own span, however they travel together."""

    async def one(client: AsyncClient, number: int) -> int:
        with traces.tracer.start_as_current_span(f"task {number}") as span:
            await client.encrypt(UUID, SECRET)
            return span.get_span_context().span_id

    async def many() -> list[int]:
        async with AsyncClient(**service._arguments(None, 5.0), tracer=traces.tracer) as client:
            return await asyncio.gather(*(one(client, number) for number in range(20)))

    parents = sorted(asyncio.run(many()))
    found = [span.parent.span_id for span in traces.spans("caas encrypt") if span.parent]
    assert sorted(found) == parents


def test_nothing_secret_is_in_a_span(client: Client, traces: Traces) -> None:
    """Operation, message id, number of items and code: no value, no user, no key."""
    stored = client.encrypt(UUID, SECRET)
    client.verify(UUID, SECRET, stored.encrypted_data)
    TraceObserver(traces.tracer).observe(outcome(new_message_id(NOW_MS, bytes)))
    text = "".join(span.to_json() for span in traces.spans())
    assert not re.search(f"{SECRET}|{UUID}|{stored.encrypted_data}|caas_", text)


@pytest.mark.parametrize("message_id", ["", "an id", "x" * 10_000])
def test_a_strange_message_has_no_trace(traces: Traces, message_id: str) -> None:
    """An id that is no UUID names no trace, and harms nothing."""
    TraceObserver(traces.tracer).observe(outcome(message_id))
    assert traces.spans() == []


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None  # importing it fails
from producer_client.testing import InMemoryService
with InMemoryService().client() as client:
    print(len(client.encrypt("4dbcbcfe-4800-40a8-badf-c26b73af230c", "x").encrypted_data))
"""


def test_without_a_tracer_it_need_not_be_installed() -> None:
    """Off, client and worker do without OpenTelemetry."""
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, check=True)
    assert done.stdout.split() == [b"96"]
