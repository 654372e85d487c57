"""Traces of ticks through real processes over a real broker, as a collector gets them."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from energymarket.errors import SettingsError
from energymarket.otlp import LoggedExporter
from energymarket.settings import OTLP_ENDPOINT, otlp_endpoint
from energymarket.tracing import NO_SPAN, Tracer, exported
from tests.fakes import RecordedLog
from tests.otlp_receiver import ReceivedSpan, receiving
from tests.redis_server import RedisServer
from tests.servers import RabbitServer
from tests.system.processes import System, system

TICKS = 12
TAKEN, LOST = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
NOT_TAKEN = "WARNING the collector does not take spans; they are lost until it does"
MARKET, HOME = "energymarket-market", "energymarket-home"
CAUSED_BY = {
    (MARKET, "tick"): None,
    (HOME, "make orders"): (MARKET, "tick"),
    (MARKET, "take order"): (HOME, "make orders"),
    (MARKET, "settle"): (MARKET, "tick"),
    (MARKET, "commit"): (MARKET, "tick"),
    (MARKET, "send receipts"): (MARKET, "tick"),
    (HOME, "take receipts"): (MARKET, "send receipts"),
}
"""Every span of a tick, with the one that caused it."""


def run_to_the_end(running: System, collector: str, **market: object) -> None:
    """Twelve ticks of two homes, until each home has its last receipt."""
    running.environment = {
        OTLP_ENDPOINT: collector,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    homes = [running.start("home") for _ in range(2)]
    running.start("external")
    running.start("weather")
    running.start("market", start_homes=2, tick_seconds=0, max_ticks=TICKS, **market)
    running.wait_for_tick(TICKS)
    last = f"tick {TICKS} home"
    running.wait_for("receipts", lambda: all(last in home.text() for home in homes))


def stop_all(running: System) -> float:
    """Ends every process in order; returns the longest time that one took, in seconds."""
    stopping = [process.stop() for process in reversed(running.processes)]
    assert [process.exit_code for process in running.processes] == [0] * 5, running.logs()
    return max(stopping)


def by_tick(spans: list[ReceivedSpan]) -> dict[int, list[ReceivedSpan]]:
    """The spans of each trace whose root is here, by the tick that it is of."""
    ticks = {span.trace: span.attributes["energymarket.tick"] for span in spans if not span.parent}
    found: dict[int, list[ReceivedSpan]] = {tick: [] for tick in ticks.values()}
    for span in spans:
        if span.trace in ticks:
            found[ticks[span.trace]].append(span)
    return found


def is_whole(spans: list[ReceivedSpan]) -> bool:
    """Whether every span of a tick is here; those of a home twice, for there are two."""
    kinds = [(span.service, span.name) for span in spans]
    return all(
        kinds.count(kind) >= 1 + (kind[0] == HOME or kind[1] == "take order") for kind in CAUSED_BY
    )


def test_one_trace_leads_from_the_open_tick_through_each_home_to_its_receipt(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    with receiving() as collector, system(rabbit_server, redis_server, tmp_path) as running:
        run_to_the_end(running, collector.url)
        # Of the first tick homes may have heard by their Welcome, which is of no trace.
        traced = range(2, TICKS + 1)
        running.wait_for(
            "all spans",
            lambda: all(is_whole(by_tick(collector.spans).get(tick, [])) for tick in traced),
        )
        stop_all(running)
    ticks = by_tick(collector.spans)
    assert set(ticks) == {1, *traced}
    assert sum(map(len, ticks.values())) == len(collector.spans), "spans of a trace without a root"
    for spans in ticks.values():
        check_causes(spans)


def check_causes(spans: list[ReceivedSpan]) -> None:
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans)
    for span in spans:
        cause = by_id.get(span.parent)
        assert (cause and (cause.service, cause.name)) == CAUSED_BY[span.service, span.name]
        assert cause is None or cause.begin_ns <= span.begin_ns <= span.end_ns


def test_a_ratio_of_0_traces_nothing_anywhere(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Homes begin no trace: the market's choice holds for everybody."""
    with receiving() as collector, system(rabbit_server, redis_server, tmp_path) as running:
        run_to_the_end(running, collector.url, trace_ratio=0)
        stop_all(running)
    assert collector.spans == []


def test_a_collector_that_is_not_there_changes_nothing(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """R23: every process still ends within 3 seconds, and those that make spans say once that
    nobody takes them."""
    with system(rabbit_server, redis_server, tmp_path) as running:
        run_to_the_end(running, "http://127.0.0.1:9")
        makers = [each for each in running.processes if each.name in ("home", "market")]
        running.wait_for("warnings", lambda: all(NOT_TAKEN in each.text() for each in makers))
        assert stop_all(running) < 3
        told = {each.name: each.text().count(NOT_TAKEN) for each in running.processes}
        assert told == {"home": 1, "external": 0, "weather": 0, "market": 1}, running.logs()


# ------------------------------------------------------------------------------- without tracing


def test_without_a_collector_there_is_no_span_and_nothing_of_opentelemetry_is_loaded() -> None:
    with exported("", "home", RecordedLog().log) as tracer:
        assert type(tracer) is Tracer
        assert tracer.root("tick", 1) is tracer.child("take order", "00-ab-cd-01") is NO_SPAN
        assert NO_SPAN.trace == ""
    program = (
        "import sys, services.home.__main__; print([m for m in sys.modules if 'telemetry.' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("wrong", ["localhost:4318", "ftp://collector", "http://"])
def test_a_collector_that_cannot_be_one_is_refused_by_name(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R24."""
    monkeypatch.setenv(OTLP_ENDPOINT, wrong)
    with pytest.raises(SettingsError, match=f"^{OTLP_ENDPOINT} is .*; it must be an http://"):
        otlp_endpoint()


def test_a_collector_without_what_makes_spans_is_a_sentence_that_says_what_to_install(
    tmp_path: Path,
) -> None:
    """R24: in an environment that lacks the extra, as Python's own switch makes one here."""
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from energymarket import runtime, tracing\n"
        "def run():\n"
        "    with tracing.exported('http://127.0.0.1:4318', 'home', None): pass\n"
        "runtime.main(run)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"{OTLP_ENDPOINT} is set, and opentelemetry")
    assert done.stderr.endswith("pip install '.[otlp]' in a checkout of energymarket.\n")


@pytest.mark.parametrize(
    ("variable", "wrong"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "x"),
        ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER", "nobody"),
    ],
)
def test_a_variable_that_opentelemetry_does_not_take_is_a_sentence(
    variable: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R24: it does not say itself which one it is, so all that are set are named."""
    monkeypatch.setenv(variable, wrong)
    nowhere = exported("http://127.0.0.1:9", "home", RecordedLog().log)
    with (
        pytest.raises(SettingsError, match=rf"^One of .*{variable}.* is wrong; it must be"),
        nowhere,
    ):
        pass


def test_a_collector_that_fails_is_told_of_once_and_so_is_its_recovery() -> None:
    exporter, log = UnsteadyExporter(), RecordedLog()
    logged = LoggedExporter(exporter, "http://collector:4318", log.log)
    said = []
    for exporter.next in (TAKEN, LOST, LOST, OSError("no such file"), TAKEN, TAKEN, LOST):
        logged.export([])
        said.append(len(log.lines))
    assert said == [0, 1, 1, 1, 2, 2, 3]
    assert [line["level"] for line in log.lines] == ["warning", "info", "warning"]
    assert {line["collector"] for line in log.lines} == {"http://collector:4318"}


def test_what_an_exporter_raises_is_a_lost_batch_and_is_told_with_its_reason() -> None:
    exporter, log = UnsteadyExporter(), RecordedLog()
    exporter.next = OSError("no such certificate")
    assert LoggedExporter(exporter, "http://collector", log.log).export([]) is LOST
    (line,) = log.lines
    assert line["why"] == "no such certificate"


def test_spans_that_a_silent_collector_has_not_taken_at_the_end_are_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R23: a second is all the time that they have."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    log = RecordedLog()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        with exported(f"http://{host}:{port}", "market", log.log) as tracer:
            tracer.root("tick", 1).end()
    assert log.saying("the last spans are lost")


class UnsteadyExporter(SpanExporter):
    """Does with each batch what it is told to."""

    def __init__(self) -> None:
        self.next: SpanExportResult | Exception = TAKEN

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if isinstance(self.next, Exception):
            raise self.next
        return self.next


@pytest.mark.parametrize("trace", ["", "nonsense", "00-0-0-00", "00-" + "0" * 32 + "-" + "0" * 16])
def test_a_trace_context_that_is_none_makes_no_span(trace: str) -> None:
    """Anybody on the broker may have written it."""
    with receiving() as collector:
        with exported(collector.url, "market", RecordedLog().log) as tracer:
            with tracer.child("take order", trace) as span:
                assert span is NO_SPAN
            with tracer.root("tick", 1):
                pass
        # What was made has come when the block is over.
        assert [span.name for span in collector.spans] == ["tick"]
