"""Spans that go to a collector by OTLP over HTTP. The only file that knows OpenTelemetry.

Only a process that is told where the collector is imports it. What a collector does not take in
time is dropped: no service waits for it, nor fails with it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from energymarket.errors import SettingsError
from energymarket.settings import opentelemetry_variables, without_password
from energymarket.telemetry import Log
from energymarket.tracing import HEADER, NO_SPAN, Span, Tracer

_FLUSH_S: Final = 1.0
_PATH: Final = "/v1/traces"


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


class LoggedExporter(SpanExporter):
    """Says once that the collector takes no spans, and once that it takes them again.

    OpenTelemetry says so for every batch, to a log that is switched off here.
    """

    def __init__(self, exporter: SpanExporter, collector: str, log: Log) -> None:
        """``collector`` is its address, without a password."""
        self._exporter, self._collector, self._log = exporter, collector, log
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - such as a certificate's file that is not there
            self._failed(why=str(error))
            return SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS:
            self._failed()
        elif self._failing:
            self._failing = False
            self._log.info("the collector takes spans again", collector=self._collector)
        return result

    def _failed(self, **facts: str) -> None:
        if not self._failing:
            self._failing = True
            self._log.warning(
                "the collector does not take spans; they are lost until it does",
                collector=self._collector,
                **facts,
            )

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class OtlpTracer(Tracer):
    """Makes spans of ``ratio`` of all ticks; sends them in the background."""

    def __init__(self, endpoint: str, service: str, log: Log, ratio: float = 1.0) -> None:
        """Raises ``SettingsError`` where OpenTelemetry does not take one of its own variables."""
        try:
            self._provider = _provider(endpoint, service, log, ratio)
        except (ValueError, RuntimeError) as error:
            raise SettingsError(
                f"One of {', '.join(opentelemetry_variables())} is wrong; it must be what "
                f"OpenTelemetry takes, which says: {error}"
            ) from error
        self._log = log
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
        if closing.is_alive():
            self._log.warning("the last spans are lost: the collector did not take them in time")


def _provider(endpoint: str, service: str, log: Log, ratio: float) -> TracerProvider:
    """It reads more settings from the environment, under OpenTelemetry's own names."""
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        resource=Resource.create({"service.name": f"energymarket-{service}"}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint.removesuffix("/") + _PATH)
    logged = LoggedExporter(exporter, without_password(endpoint), log)
    provider.add_span_processor(BatchSpanProcessor(logged))
    return provider
