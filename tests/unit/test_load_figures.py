"""The figures of a load test: percentiles, schedule, account, knee, report."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from energymarket.errors import SettingsError
from lab.load import baseline, latencies, report, wire
from lab.load.account import Account
from lab.load.display import Lines, summary
from lab.load.errors import Interrupted, LoadFailed
from lab.load.knee import Knee, find_knee
from lab.load.latencies import LONGEST_US, Latencies
from lab.load.market_api import PhaseTotals
from lab.load.pacing import Schedule
from lab.load.plan import LoadPlan
from lab.load.result import Result, Second, parts_of_a_tick

PLAN = LoadPlan(amqp_url="amqp://broker/energymarket", homes=10, fleets=3)

# ------------------------------------------------------------------------------------- percentiles

SOME_LATENCIES = st.lists(
    st.tuples(st.floats(0, 5_000), st.integers(1, 1_000)), min_size=1, max_size=30
)


@given(SOME_LATENCIES, st.floats(0, 100))
def test_percentiles_without_the_library_are_those_of_the_library(
    recorded: list[tuple[float, int]], percent: float
) -> None:
    """Linux on arm64 has no wheel of it."""
    found = Latencies()
    for seconds, count in recorded:
        found.record(seconds, count)
    hdr = found._hdr()
    assert hdr is not None, "hdrhistogram is a dependency, and not installed here"
    assert hdr.get_total_count() == found.total
    expected = hdr.get_percentile_to_value_dict([percent])[percent]
    assert latencies._percentile_us(found.counts, percent) == expected


def test_a_percentile_is_right_to_three_digits() -> None:
    found = Latencies()
    for milliseconds in range(1, 1_001):
        found.record(milliseconds / 1_000)
    p50, p99, p100 = found.percentiles_ms([50, 99, 100])
    assert p50 == pytest.approx(500, rel=0.001)
    assert p99 == pytest.approx(990, rel=0.001)
    assert p100 == pytest.approx(1_000, rel=0.001)
    assert found.mean_ms == pytest.approx(500.5, rel=0.001)


def test_histograms_of_several_workers_add_up() -> None:
    one, other, both = Latencies(), Latencies(), Latencies()
    for number in range(200):
        (one if number % 3 else other).record(number / 100, 5)
        both.record(number / 100, 5)
    taken = one.take()
    other.add(taken)
    assert other.counts == both.counts
    assert one.total == 0


def test_nothing_is_too_short_or_too_long_to_be_recorded() -> None:
    found = Latencies()
    found.record(-1.0)
    found.record(0.0)
    found.record(1e6)
    assert found.total == 3
    assert min(found.counts) == 1
    assert max(found.counts) <= LONGEST_US
    assert Latencies().percentiles_ms([50, 99]) == [0.0, 0.0]


def test_no_service_imports_the_histogram() -> None:
    """A home is small, and its image may be without it."""
    program = (
        "import sys, services.home.__main__, services.market.__main__; print('hdrh' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


# ------------------------------------------------------------------------------- schedule, messages


def test_the_moments_of_a_schedule_do_not_depend_on_the_market() -> None:
    schedule = Schedule(base_tick=10, last_tick=19, begin_at=100.0, pace_s=0.5)
    assert schedule.due_at(9) is None
    assert [schedule.due_at(tick) for tick in (10, 11, 14)] == [100.0, 100.5, 102.0]
    assert [schedule.counts(tick) for tick in (9, 10, 19, 20)] == [False, True, True, False]


def test_what_is_overdue_is_what_was_due_for_more_than_a_pace() -> None:
    schedule = Schedule(base_tick=10, last_tick=19, begin_at=100.0, pace_s=0.5)
    assert schedule.overdue(9, 100.4) == []
    assert schedule.overdue(9, 101.6) == pytest.approx([1.6, 1.1, 0.6])
    assert len(schedule.overdue(9, 1_000.0)) == 10, "no more than there are ticks"
    assert Schedule(10, 19, 100.0, 0.0).overdue(9, 1_000.0) == []


def test_what_parent_and_worker_say_arrives_as_it_was_said() -> None:
    pipe = io.BytesIO()
    begin = wire.Begin(amqp_url="amqp://u:p@b/v", instance="i", sizes=[1, 2], homes_per_message=0)
    go = wire.Go(base_tick=3, last_tick=9, begin_at=1.5, pace_s=0.1)
    for command in (begin, go, wire.End()):
        wire.send(pipe, command)
    pipe.write(b"\x00\x00\x00\x09cut")
    pipe.seek(0)
    assert list(wire.commands(pipe)) == [begin, go, wire.End()]


# -------------------------------------------------------------------------------------- the account


def sample(**changes: Any) -> wire.Sample:
    """Of a worker in the middle of a run."""
    fields: dict[str, Any] = dict.fromkeys(wire.Sample.__struct_fields__, 0)
    fields |= {"run": "r", "latencies": {}, "done": False, "gone": False, "refusal": ""} | changes
    return wire.Sample(**fields)


def test_the_account_adds_up_the_workers_from_the_first_order_to_the_last_receipt() -> None:
    account = Account(2)
    account.begin(10, 12)
    for number, (first, last) in enumerate([(5.0, 8.0), (5.5, 9.0)]):
        account.take(
            number,
            sample(
                settled_tick=12,
                orders=30,
                latencies={1_000: 30},
                compute_s=0.3 * (number + 1),
                messages_out=6,
                messages_in=9,
                cpu_s=1.0,
                first_sent_at=first,
                last_receipt_at=last,
                done=True,
            ),
        )
    assert account.done
    account.note_phases(phases(0, 0.0))
    account.note_phases(phases(3, 0.9))
    result = account.result(PLAN, ended="after 3 ticks", market={}, began_at="")
    assert (result.ticks, result.orders, result.messages) == (3, 60, 30)
    assert result.elapsed_s == 4.0
    assert result.orders_per_s == 15.0
    assert result.tool_cores == 0.5
    parts = {part.name: part.ms for part in result.parts}
    assert parts["home compute"] == pytest.approx(200), "of the worker that worked most"
    assert parts["transport"] == pytest.approx(100), "300 collected, 200 of them computed"


def test_a_market_that_hangs_until_a_run_is_cut_off_has_been_that_slow() -> None:
    """A baseline would let it pass otherwise: 5 s of work, then 25 s of nothing."""
    account = Account(1)
    account.begin(1, 2**53)
    times = {"first_sent_at": 100.0, "last_receipt_at": 105.0}
    account.take(0, sample(settled_tick=50, orders=5_000, latencies={20_000: 5_000}, **times))
    assert account.elapsed_s == 5.0
    account.note_phases(phases(0, 0.0))
    account.note_phases(phases(50, 1.0))
    account.cut_off(130.0)
    found = account.result(PLAN, ended="after 30 s", market={}, began_at="")
    assert found.elapsed_s == 30.0
    assert found.orders_per_s == pytest.approx(5_000 / 30)
    assert sum(part.ms for part in found.parts) == pytest.approx(100), "of what was settled"
    account.take(0, sample(settled_tick=51, first_sent_at=100.0, last_receipt_at=130.5))
    assert account.elapsed_s == 30.5, "a receipt that came while it was being cut off"


def phases(ticks: int, seconds: float) -> PhaseTotals:
    """Every phase took as long in all."""
    names = ("collect", "settle", "commit", "answer")
    return PhaseTotals(dict.fromkeys(names, seconds), dict.fromkeys(names, float(ticks)))


def test_the_parts_of_a_tick_are_the_whole_tick() -> None:
    market = {"collect": 10.0, "decode": 1.0, "take": 2.0, "settle": 3.0, "commit": 4.0}
    market |= {"answer": 5.0, "encode": 1.0}
    fleets = {"compute": 2.0, "encode": 0.5, "decode": 0.5, "held": 1.0}
    parts = parts_of_a_tick(25.0, market, fleets)
    assert sum(part.ms for part in parts) == pytest.approx(25.0)
    assert {part.name: part.ms for part in parts}["transport"] == pytest.approx(3.0)
    assert parts_of_a_tick(25.0, {}, fleets) == []


# ------------------------------------------------------------------------------------------- knee


def system_that_holds(most: int) -> Any:
    """p99 is within the pace of a second up to ``most`` homes, and grows fast beyond."""

    def measure(homes: int) -> tuple[float, float]:
        return (900.0 if homes <= most else 1_100.0 * homes / most, float(homes))

    return measure


@pytest.mark.parametrize("most", [100, 150, 777, 12_345])
def test_the_knee_is_found_to_within_a_tenth(most: int) -> None:
    knee = find_knee(system_that_holds(most), homes=100, most=1_000_000, pace_s=1.0)
    assert knee.homes <= most < 1.12 * knee.homes
    assert str(f"{knee.homes:,} homes") in knee.sentence()
    assert len(knee.steps) < 14


def test_a_load_that_is_too_much_from_the_beginning_has_no_knee() -> None:
    knee = find_knee(system_that_holds(50), homes=100, most=1_000_000, pace_s=1.0)
    assert knee.homes == 0
    assert knee.sentence().startswith("No knee: 100 homes already have a p99 of 2,200 ms")


def test_a_number_of_homes_that_the_system_cannot_even_begin_with_does_not_hold() -> None:
    """What was found up to there is not lost."""

    def measure(homes: int) -> tuple[float, float]:
        if homes > 150:
            raise LoadFailed("only 3 of 4 fleets could join.")
        return 500.0, float(homes)

    knee = find_knee(measure, homes=100, most=1_000_000, pace_s=1.0)
    assert 137 <= knee.homes <= 150
    assert knee.sentence().endswith("only 3 of 4 fleets could join.")
    with pytest.raises(LoadFailed):
        find_knee(measure, homes=200, most=1_000_000, pace_s=1.0)


def test_a_limit_of_the_market_that_the_search_runs_into_does_not_hold() -> None:
    """Five good steps are not lost by the sixth."""

    def measure(homes: int) -> tuple[float, float]:
        if homes > 20_000:
            raise SettingsError(f"{homes} messages of orders a tick are more than the 20000.")
        return 500.0, float(homes)

    knee = find_knee(measure, homes=1_000, most=1_000_000, pace_s=1.0)
    assert 18_000 <= knee.homes <= 20_000
    assert re.search(r"; with ([\d,]{6}): \d+ messages of orders .* 20000\.$", knee.sentence())
    with pytest.raises(SettingsError):
        find_knee(measure, homes=32_000, most=1_000_000, pace_s=1.0)


def test_the_search_ends_at_the_most_that_may_be_tried() -> None:
    knee = find_knee(system_that_holds(10**9), homes=100, most=1_000, pace_s=1.0)
    assert [step.homes for step in knee.steps] == [100, 200, 400, 800, 1_000]
    assert knee.sentence().endswith("more were not tried.")


def interrupted_in_step(number: int) -> Knee:
    """Of a search for 250 homes that begins with 100."""
    steps = iter(range(1, number))

    def measure(homes: int) -> tuple[float, float]:
        if next(steps, None) is None:
            raise Interrupted
        return system_that_holds(250)(homes)  # type: ignore[no-any-return]

    return find_knee(measure, homes=100, most=1_000, pace_s=1.0)


def test_a_search_that_is_interrupted_keeps_the_steps_that_were_over() -> None:
    knee = interrupted_in_step(3)
    assert [step.homes for step in knee.steps] == [100, 200]
    assert knee.sentence().startswith("As far as Ctrl-C let the search come: 200 homes at a tick")
    assert knee.sentence().endswith("more were not tried.")
    knee = interrupted_in_step(4)
    assert (knee.homes, knee.interrupted) == (200, True)
    assert "; with 400 p99 is" in knee.sentence()
    assert not interrupted_in_step(99).interrupted


def test_a_search_that_is_interrupted_in_its_first_step_has_a_report_of_that() -> None:
    made, knee = result(), interrupted_in_step(1)
    html = report.html(made, report.as_json(made, knee), knee)
    assert "No knee: Ctrl-C ended the search in its first step." in html


# ------------------------------------------------------------------------------------------ report


def result(*, orders: int = 1_000, mode: str = "closed", slow_ms: float = 20.0) -> Result:
    """Of ten seconds."""
    found = Latencies()
    found.record(0.010, orders // 2)
    found.record(slow_ms / 1_000, orders // 2)
    return Result(
        plan=LoadPlan(
            amqp_url="", homes=10, fleets=2, pace_s=0.1 if mode == "open" else 0.0
        ).facts(),
        ended="after 10 s",
        elapsed_s=10.0,
        ticks=100,
        orders=orders,
        absent=0,
        refused=0,
        repeated=0,
        unanswered=0,
        reconnects=0,
        messages=500,
        latencies=found,
        seconds=[Second(at, 10.0, 98_765.0 + at, 10.0, 20.0, {"settle": 1.0}) for at in (1.0, 2.0)],
        parts=parts_of_a_tick(
            25.0, {"collect": 10.0, "settle": 3.0, "commit": 4.0, "answer": 5.0}, {"compute": 2.0}
        ),
        tool_cores=0.5,
        market={"run": "abc", "settings": {"text": "<script>alert(1)</script>"}},
        homes_left=0,
        began_at="2026-11-20T12:00:00+00:00",
    )


def compared(then: Result, now: Result, ratio: float = 0.9) -> baseline.Verdict:
    return baseline.compare(then.as_json(), now.as_json(), ratio)


def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"--out .* cannot be written to"):
        report.folder_for(tmp_path / "file")


class _Loads(HTMLParser):
    """Whatever a page would load, or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object", "embed", "use", "image"):
            self.found.append(tag)
        self.found += [name for name, _ in attrs if name in ("src", "href") or name[:2] == "on"]


def page(made: Result) -> str:
    knee = find_knee(system_that_holds(150), homes=100, most=1_000, pace_s=1.0)
    return report.html(made, report.as_json(made, knee), knee, compared(made, made))


def test_the_report_loads_nothing_and_runs_nothing() -> None:
    """Also not what a market says of itself."""
    html = page(result())
    loads = _Loads()
    loads.feed(html)
    assert loads.found == []
    assert not re.search(r"https?://|@import|url\(", html)


def test_the_report_has_the_numbers_and_a_plot_of_each_kind() -> None:
    made = result()
    html = page(made)
    for number in ("1,000", "10.00", "after 10 s", "home compute", "settle", "abc"):
        assert number in html, number
    assert ">100,000</text>" in html, "an axis as far as the 98,767 orders of the last second"
    for drawn in ("orders/s over seconds", "ms over seconds", "ms over percentile"):
        assert f'aria-label="{drawn}"' in html
    assert 'aria-label="ms a tick over seconds"' in html
    assert 'aria-label="ms over homes"' in html
    assert html.count("<svg") == html.count("</svg>") >= 7


def test_the_json_has_the_whole_histogram_for_other_tools() -> None:
    data = json.loads(json.dumps(result().as_json()))
    assert data["latency_hdr_v2_us"].startswith("HIST")
    assert data["latency_ms"]["p99"] == pytest.approx(20, rel=0.01)
    assert data["orders_per_s"] == 100.0


def test_a_run_too_short_for_a_plot_still_has_a_report() -> None:
    made = Account(1).result(PLAN, ended="at once", market={}, began_at="")
    assert "too short a run" in report.html(made, made.as_json())


def test_every_option_has_its_default_in_the_help_and_the_help_an_example() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab.load", "--help"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd(), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    options = re.split(r"^│ (?=--)", done.stdout, flags=re.MULTILINE)[1:]
    ours = [each for each in options if not each.startswith(("--install", "--show", "--help"))]
    assert len(ours) == 15
    assert [each for each in ours if "[default: " not in each] == []
    assert "Example: energymarket load --homes 1000" in done.stdout


def test_the_terminal_shows_the_progress_and_the_tables() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120)
    lines = Lines(console)
    lines.joining(1, 2)
    lines.second(Second(1.0, 50.0, 50_000.0, 1.5, 20.0), Account(1))
    for table in summary(result()):
        console.print(table)
    text = out.getvalue()
    for said in (
        "1 of 2 fleets",
        "50,000 orders/s",
        "p50 1.50 ms",
        "throughput",
        "p99.9 ms",
        "settle",
    ):
        assert said in text
