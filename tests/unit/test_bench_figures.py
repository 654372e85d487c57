"""What is made of measured figures: tables of growth and profile, the plot, the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import __main__ as command
from bench import figures, growth, machine, profile
from bench.fleets_run import FLEETS, Grown
from bench.measured_run import Measured
from bench.peers import BROKER, HOME_PROCESSES, LISTENERS, MARKET
from bench.plot import growth_svg
from bench.processes import Memory
from bench.real_system import REDIS
from bench.report import BenchFailed, Comparison, Result, Row, as_json, at_least
from bench.tick_clock import Pace

KINDS = (MARKET, FLEETS, HOME_PROCESSES, LISTENERS, BROKER, REDIS)
PAGE = """# Performance

Words before.

<!-- figures: growth -->
old
<!-- end of figures -->

Words after.

<!-- figures: profile -->
not measured this time
<!-- end of figures -->
"""


def measured(*, ticks_per_s: float, cpu_ms: float, peak_mib: float = 100.0) -> Measured:
    """A run in which every kind of process took the same."""
    memory = Memory(rss_mib=40.0, pss_mib=30.0, peak_mib=peak_mib)
    return Measured(
        pace=Pace(ticks_per_s, p50_ms=1_000 / ticks_per_s, p99_ms=3_000 / ticks_per_s),
        cpu_ms=dict.fromkeys(KINDS, cpu_ms),
        memory=dict.fromkeys(KINDS, memory),
    )


def grown(homes: int, *, ticks_per_s: float, cpu_ms: float, peak_mib: float = 100.0) -> Grown:
    return Grown(homes, measured(ticks_per_s=ticks_per_s, cpu_ms=cpu_ms, peak_mib=peak_mib), 31.0)


GROWN = [
    grown(20, ticks_per_s=100.0, cpu_ms=2.0),
    grown(1_000, ticks_per_s=50.0, cpu_ms=4.0),
    grown(100_000, ticks_per_s=2.0, cpu_ms=700.0),
    grown(1_000_000, ticks_per_s=0.2, cpu_ms=5_000.0, peak_mib=1_100.0),
]
PROCESSES = {str(n): measured(ticks_per_s=60.0 / n, cpu_ms=1.0 * n) for n in (1, 10, 200)}


def values(row: Row) -> list[float | None]:
    return list(row.values.values())


def named(comparison: Comparison, name: str) -> Row:
    (row,) = (row for row in comparison.rows if row.name == name)
    return row


def documented() -> dict[str, Any]:
    """The figures as a file has them."""
    tables = [growth._homes(GROWN), growth._targets(GROWN), growth._processes(PROCESSES)]
    results = {
        "growth": Result(tables, {"rabbitmq": "4.0"}),
        "compose": Result(skipped="no engine"),
    }
    found: dict[str, Any] = json.loads(json.dumps(as_json(machine.described(), results)))
    return found


# ----------------------------------------------------------------------------------------- growth


def test_orders_and_costs_are_counted_per_home() -> None:
    table = growth._homes(GROWN)
    assert table.columns == ("20", "1,000", "100,000", "1,000,000")
    assert values(named(table, growth.ORDERS_PER_S)) == [2_000, 50_000, 200_000, 200_000]
    assert values(named(table, "CPU, market")) == pytest.approx([100_000, 4_000, 7_000, 5_000])
    assert values(named(table, "ledger")) == [31.0] * 4


def test_growth_is_judged_from_a_thousand_homes_on_by_the_dearest_and_by_the_largest() -> None:
    cost, memory = growth._targets(GROWN).rows
    assert values(cost) == [pytest.approx(7_000 / 4_000)]
    assert values(memory) == [1_100.0]
    assert cost.target
    assert memory.target
    assert not cost.target.met_by(1.51)
    assert memory.target.met_by(1_024)


def test_a_growth_that_only_becomes_cheaper_is_flat() -> None:
    cost, _ = growth._targets([GROWN[1], grown(10_000, ticks_per_s=9.0, cpu_ms=20.0)]).rows
    assert values(cost) == [1.0]


def test_what_is_large_gets_more_time_to_begin() -> None:
    small, large = growth.Size(1, 10, 20), growth.Size(200, 10, 20)
    assert (small.span.warm_up_ticks, small.span.ticks) == (10, 20)
    assert large.span.first_tick_within_s > small.span.first_tick_within_s + 200


def test_a_size_that_breaks_down_is_named_and_the_others_stand() -> None:
    table = growth._homes(GROWN[:2], ["1,000,000 could not be measured: it took too long"])
    assert table.columns == ("20", "1,000")
    assert table.notes[-1] == "1,000,000 could not be measured: it took too long"


# ---------------------------------------------------------------------------------------- profile


def test_phases_that_are_part_of_another_are_named_so_and_not_counted_twice() -> None:
    means_ms = {"collect": 8.0, "decode": 2.0, "take": 1.0, "settle": 3.0, "commit": 4.0}
    table = profile._by_phase(GROWN[1], {**means_ms, "answer": 4.0, "encode": 1.5})
    assert [row.name for row in table.rows] == [
        *("collect", "decode, in collect", "take, in collect", "settle", "commit", "answer"),
        *("encode, in answer", "all else", "tick"),
    ]
    assert named(table, "all else").values == {profile.MS: 1.0, profile.SHARE: 0.05}
    assert named(table, "tick").values == {profile.MS: 20.0, profile.SHARE: 1.0}


def test_functions_are_ordered_by_their_time_and_the_rest_is_summed_up() -> None:
    functions = {f"file.py f{number}": [number / 10, number / 20] for number in range(1, 21)}
    counted = {"functions": functions, "process_cpu_s": 12.5}
    table = profile._by_function(GROWN[1], counted, ticks=10)
    assert table.rows[0].name == "file.py f20"
    assert table.rows[0].values == pytest.approx(
        {profile.MS: 200, profile.SHARE: 2 / 21, profile.CPU_MS: 100, profile.CPU_SHARE: 1 / 12.5}
    )
    assert named(table, "4 other functions").values[profile.MS] == pytest.approx(100)
    others = named(table, profile.OTHER_THREADS).values
    assert others == pytest.approx({profile.CPU_MS: 200, profile.CPU_SHARE: 2 / 12.5})
    assert named(table, profile.ALL).values == pytest.approx(
        {profile.MS: 2_100, profile.SHARE: 1, profile.CPU_MS: 1_250, profile.CPU_SHARE: 1}
    )


# ------------------------------------------------------------------------------------------- plot


def test_the_plot_is_one_picture_of_three_charts_that_loads_nothing() -> None:
    drawn = growth_svg(documented())
    root = ElementTree.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "href" not in drawn
    assert drawn.count("<circle") == 4 + 2 * 4 + 3
    for words in ("orders/s", "p50", "p99", "home processes", "1,000,000"):
        assert words in drawn


def test_ten_times_as_many_are_as_far_away_wherever_on_the_axis() -> None:
    drawn = growth_svg(documented())
    across = [
        float(circle.attrib["cx"])
        for circle in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}circle")
    ][:4]
    step = across[3] - across[2]
    assert (across[2] - across[1]) == pytest.approx(2 * step, abs=0.3)


def test_there_is_no_plot_without_its_figures() -> None:
    with pytest.raises(BenchFailed, match="there is nothing to plot"):
        growth_svg({"benchmarks": {}})


# --------------------------------------------------------------------------------------- the page


def test_the_tables_of_a_page_are_written_anew_between_their_marks_and_nowhere_else(
    tmp_path: Path,
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert figures.rewrite(page, documented()) == ["growth"]
    text = page.read_text()
    assert text.startswith("# Performance\n\nWords before.\n\n<!-- figures: growth -->\nMeasured ")
    assert "old" not in text
    assert "| settled | orders/s | 2,000 | 50,000 | 200,000 | 200,000 |" in text
    assert "| ≤ 1,024 (**missed**) |" in text
    assert "rabbitmq 4.0" in text
    assert text.endswith(PAGE[PAGE.index("\nWords after.") :])
    figures.rewrite(page, documented())
    assert page.read_text() == text, "a second time changes nothing"


def test_a_ratio_and_a_target_that_is_met_stand_in_columns_of_their_own() -> None:
    rows = [Row("speed", "1/s", {"ours": 30.0, "peer": 10.0}, at_least(20))]
    result = Result([Comparison("Speed", ("ours", "peer"), rows, floor="peer", notes=("so",))])
    document = as_json({}, {"embedded": result})
    text = figures.markdown({}, document["benchmarks"]["embedded"])
    assert "|  | unit | ours | peer | ours / peer | wanted |" in text
    assert "| speed | 1/s | 30.0 | 10.0 | 3.00 | ≥ 20.0 (met) |" in text
    assert "\n- so\n" in text


@pytest.mark.parametrize(("load", "busy"), [(0.3, False), (3.1, True)])
def test_figures_of_a_busy_machine_are_marked_as_such(load: float, busy: bool) -> None:
    machine_then = {"cores": 2, "load_average": [load, 1.0, 1.0], "versions": {"redis": "8"}}
    text = figures.markdown(machine_then, {"versions": {"redis": "7"}, "comparisons": []})
    assert ("The machine was busy" in text) == busy
    assert "redis 7;" in text, "the server, not the library"


def test_the_command_writes_tables_and_plot_from_the_json_of_an_earlier_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, file, plot = tmp_path / "page.md", tmp_path / "figures.json", tmp_path / "plot.svg"
    page.write_text(PAGE)
    file.write_text(json.dumps(documented()))
    options = ["tables", str(file), "--page", str(page), "--plot", str(plot)]
    assert command.main(options) == 0
    assert "tables of growth" in capsys.readouterr().out
    assert "200,000" in page.read_text()
    assert plot.read_text().startswith("<svg")


def test_a_plot_that_has_nothing_to_show_is_told_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "BENCHMARKS", {"growth": lambda: Result(skipped="no broker")})
    plot, file = tmp_path / "plot.svg", tmp_path / "figures.json"
    assert command.main(["all", "--plot", str(plot), "--json", str(file)]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "growth skipped: no broker" in output
    assert "there is nothing to plot" in output
    assert not plot.exists()
    assert file.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "is not the JSON of this version's benchmarks"),
        ('{"format": 1, "benchmarks": {}}', "has no place marked for any of"),
    ],
)
def test_figures_that_are_none_are_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, sentence: str
) -> None:
    page, file = tmp_path / "page.md", tmp_path / "figures.json"
    page.write_text(PAGE)
    if content is not None:
        file.write_text(content)
    assert command.main(["tables", str(file), "--page", str(page)]) == 1
    assert sentence in " ".join(capsys.readouterr().out.split())
    assert page.read_text() == PAGE


def test_tables_of_nothing_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["tables"]) == 1
    assert "python -m bench tables FIGURES" in capsys.readouterr().out


def test_every_place_for_figures_in_the_documentation_is_one_of_a_benchmark() -> None:
    text = Path("docs/performance.md").read_text()
    places: list[Mapping[str, str]] = [
        found.groupdict() for found in figures._MARKED.finditer(text)
    ]
    assert text.count("<!-- figures:") == text.count("<!-- end of figures -->") == len(places)
    assert {place["name"] for place in places} <= set(command.BENCHMARKS)
