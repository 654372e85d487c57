"""Spans of a tick's way through the services. This tracer makes none; ``otlp`` has one that does.

A trace begins in the market, with a tick, and goes on wherever a message brings it: as W3C trace
context (https://www.w3.org/TR/trace-context/), the header ``traceparent``. Without one there is no
span, so that the market's choice of ticks to trace holds for everybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Final

from energymarket.errors import SettingsError
from energymarket.settings import OTLP_ENDPOINT
from energymarket.telemetry import Log

HEADER: Final = "traceparent"


class Span:
    """A piece of work, which ends with its ``with`` block or by ``end``; this one is of no trace.

    ``trace`` is the trace context to send along with what it causes; empty where there is none.
    """

    trace: str = ""

    def end(self) -> None:
        """It is done."""

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.end()


NO_SPAN: Final = Span()


class Tracer:
    """Makes spans; this one never does."""

    def root(self, name: str, tick: int) -> Span:  # noqa: ARG002 - for those that make some
        """Begins a trace, if this tick is one of those to trace."""
        return NO_SPAN

    def child(self, name: str, parent: str) -> Span:  # noqa: ARG002
        """A span that ``parent``, a trace context, has caused; none for an empty one."""
        return NO_SPAN


@contextmanager
def exported(endpoint: str, service: str, log: Log, ratio: float = 1.0) -> Iterator[Tracer]:
    """A tracer whose spans go to a collector during the block; without an ``endpoint`` none go
    anywhere. ``ratio`` is the share of ticks to trace, for who begins traces; ``log`` is told when
    the collector takes no spans, from another thread.

    Raises ``SettingsError`` where what makes spans is not installed, or wrongly set.
    """
    if not endpoint:
        yield Tracer()
        return
    try:
        from energymarket.otlp import OtlpTracer  # noqa: PLC0415 - large, and seldom there
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{OTLP_ENDPOINT} is set, and {error.name} is not installed; it must be unset, or "
            "installed: pip install '.[otlp]' in a checkout of energymarket."
        ) from error
    tracer = OtlpTracer(endpoint, service, log, ratio)
    try:
        yield tracer
    finally:
        tracer.close()


def headers_of(trace: str) -> dict[str, str] | None:
    """The headers of a message that carries a trace context."""
    return {HEADER: trace} if trace else None


def trace_in(headers: Mapping[str, object] | None) -> str:
    """The trace context in a message's headers, whoever wrote them; empty where there is none."""
    trace = headers.get(HEADER) if headers else None
    return trace if isinstance(trace, str) else ""
