"""Traces of ticks through real processes over a real broker, as a collector gets them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from energymarket.errors import SettingsError
from energymarket.settings import OTLP_ENDPOINT, otlp_endpoint
from energymarket.tracing import NO_SPAN, Tracer, exported
from tests.otlp_receiver import ReceivedSpan, receiving
from tests.redis_server import RedisServer
from tests.servers import RabbitServer
from tests.system.processes import System, system

TICKS = 12
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
    running.environment = {OTLP_ENDPOINT: collector, "OTEL_BSP_SCHEDULE_DELAY": "100"}
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
    """R23: every process still ends within 3 seconds."""
    with system(rabbit_server, redis_server, tmp_path) as running:
        run_to_the_end(running, "http://127.0.0.1:9")
        assert stop_all(running) < 3


# ------------------------------------------------------------------------------- without tracing


def test_without_a_collector_there_is_no_span_and_nothing_of_opentelemetry_is_loaded() -> None:
    with exported("", "home") as tracer:
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
        "    with tracing.exported('http://127.0.0.1:4318', 'home'): pass\n"
        "runtime.main(run)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"{OTLP_ENDPOINT} is set, and opentelemetry")
    assert done.stderr.endswith("pip install 'energymarket[otlp]'.\n")


@pytest.mark.parametrize("trace", ["", "nonsense", "00-0-0-00", "00-" + "0" * 32 + "-" + "0" * 16])
def test_a_trace_context_that_is_none_makes_no_span(trace: str) -> None:
    """Anybody on the broker may have written it."""
    with receiving() as collector, exported(collector.url, "market") as tracer:
        with tracer.child("take order", trace) as span:
            assert span is NO_SPAN
        assert collector.spans == []
