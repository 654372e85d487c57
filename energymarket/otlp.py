"""Spans that go to a collector by OTLP over HTTP. The only file that knows OpenTelemetry.

Only a process that is told where the collector is imports it. What a collector does not take in
time is dropped: no service waits for it, nor fails with it.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from energymarket.tracing import HEADER, NO_SPAN, Span, Tracer

_FLUSH_S: Final = 1.0


class OtlpSpan(Span):
    """One of OpenTelemetry's."""

    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        context = span.get_span_context()
        self.trace = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

    def end(self) -> None:
        self._span.end()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if error is not None:
            self._span.set_status(Status(StatusCode.ERROR, str(error)))
        self.end()


class OtlpTracer(Tracer):
    """Makes spans of ``ratio`` of all ticks; sends them in the background."""

    def __init__(self, service: str, ratio: float = 1.0) -> None:
        """The collector's address comes from ``OTEL_EXPORTER_OTLP_ENDPOINT``, as do the other
        settings of OpenTelemetry's own."""
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource.create({"service.name": f"energymarket-{service}"}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("energymarket")
        self._propagator = TraceContextTextMapPropagator()

    def root(self, name: str, tick: int) -> Span:
        span = self._tracer.start_span(name, Context(), attributes={"energymarket.tick": tick})
        return OtlpSpan(span) if span.is_recording() else NO_SPAN

    def child(self, name: str, parent: str) -> Span:
        if not parent:
            return NO_SPAN
        context = self._propagator.extract({HEADER: parent}, Context())
        if not context:
            return NO_SPAN  # it is no trace context
        span = self._tracer.start_span(name, context)
        return OtlpSpan(span) if span.is_recording() else NO_SPAN

    def close(self) -> None:
        """Sends what is left, for at most a second."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_FLUSH_S)
