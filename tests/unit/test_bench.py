"""The benchmarks' own logic. How fast anything is decides no test."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench import __main__ as command
from bench import assume_peer, embedded, embedded_alone, machine, settling
from bench.alone import Alone, measured_alone
from bench.bare_loop import committer
from bench.containers import mib
from bench.embedded_run import Timed
from bench.measured_run import Span, measured
from bench.processes import children_named, cpu_s, memory
from bench.report import (
    BenchFailed,
    Comparison,
    Result,
    Row,
    as_json,
    at_least,
    at_most,
    percentile,
    ratio,
    shown,
    table,
)
from bench.tick_clock import Pace, TickClock

TINY = embedded.Plan(
    homes=3,
    ticks=5,
    warm_up_ticks=2,
    many_homes=7,
    many_ticks=5,
    many_warm_up_ticks=1,
    runs=2,
    alone=embedded_alone.Plan(
        year_homes=3,
        year_ticks=4,
        peer_homes=4,
        peer_ticks=3,
        peer_hours=6,
        large_homes=5,
        large_ticks=2,
    ),
)
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")


# ------------------------------------------------------------------------------------ percentiles


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 1), (50, 50), (50.5, 51), (99, 99), (99.1, 100), (100, 100)]
)
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(
    percent: float, expected: float
) -> None:
    assert percentile(range(100, 0, -1), percent) == expected


@given(st.lists(st.integers(), min_size=1), st.integers(1, 100))
def test_a_percentile_is_one_of_the_values_and_splits_them_as_it_says(
    values: list[int], percent: int
) -> None:
    found = percentile(values, percent)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= percent * len(values)
    assert 100 * sum(value < found for value in values) < percent * len(values)


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1], 0), ([1], 101)])
def test_a_percentile_of_nothing_or_beyond_all_is_refused(
    values: list[float], percent: float
) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


def test_the_pace_counts_the_steps_between_ticks() -> None:
    pace = Pace.of([10.0, 10.01, 10.02, 10.03, 10.13])
    assert pace.ticks_per_s == pytest.approx(4 / 0.13)
    assert pace.p50_ms == pytest.approx(10)
    assert pace.p99_ms == pytest.approx(100)


# -------------------------------------------------------------------------------------- the table


COMPARISON = Comparison(
    title="Speed",
    columns=("ours", "floor", "peer"),
    rows=[
        Row("speed", "ticks/s", {"ours": 50.0, "floor": 100.0, "peer": 4.321}, at_least(60)),
        Row("time", "ms", {"ours": 20.0, "floor": 10.0}, at_most(25)),
        Row("[odd]", "", {"floor": 1.0}, at_most(25)),
    ],
    floor="floor",
    notes=("a note",),
)


def printed(comparison: Comparison, *, color: bool = False) -> str:
    out = io.StringIO()
    Console(
        file=out, width=120, force_terminal=color, color_system="standard" if color else None
    ).print(table(comparison))
    return out.getvalue()


def test_the_table_shows_ours_beside_the_others_with_the_ratio_and_the_target() -> None:
    lines = printed(COMPARISON).splitlines()
    (speed,) = [line for line in lines if "speed" in line]
    assert [cell.strip() for cell in speed.split("│")[1:-1]] == [
        *("speed", "ticks/s", "50.0", "100", "4.32", "0.500", "≥ 60.0"),
    ]
    assert any("ours / floor" in line for line in lines)
    assert any("a note" in line for line in lines)


def test_what_was_not_measured_is_a_dash_and_meets_no_target_nor_misses_it() -> None:
    (odd,) = [line for line in printed(COMPARISON).splitlines() if "[odd]" in line]
    cells = [cell.strip() for cell in odd.split("│")[1:-1]]
    assert cells == ["[odd]", "", "-", "1.00", "-", "-", "≤ 25.0"]


def test_a_missed_target_is_red_and_a_met_one_green() -> None:
    lines = printed(COMPARISON, color=True).splitlines()
    (speed,) = [line for line in lines if "speed" in line]
    (time,) = [line for line in lines if "time" in line]
    assert "\x1b[31m≥ 60.0" in speed
    assert "\x1b[32m≤ 25.0" in time


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (1234.5, "1,234"),
        (12.345, "12.3"),
        (1.2345, "1.23"),
        (-0.5, "-0.500"),
    ],
)
def test_numbers_are_shown_with_three_significant_digits(value: float | None, text: str) -> None:
    assert shown(value) == text


def test_there_is_no_ratio_without_a_floor_or_to_zero() -> None:
    row = Row("speed", "ticks/s", {"ours": 3.0, "floor": 0.0, "peer": 2.0})
    assert ratio(row, "ours", "peer") == 1.5
    assert ratio(row, "ours", "floor") is None
    assert ratio(row, "ours", None) is None
    assert ratio(row, "theirs", "peer") is None


# ------------------------------------------------------------------------------------------- JSON


def test_the_json_holds_machine_figures_ratios_and_targets() -> None:
    results = {"one": Result([COMPARISON], {"broker": "1.0"}), "two": Result(skipped="no engine")}
    document = json.loads(json.dumps(as_json({"cores": 2}, results)))
    assert document["format"] == 1
    assert document["machine"] == {"cores": 2}
    one, two = document["benchmarks"]["one"], document["benchmarks"]["two"]
    assert (one["skipped"], one["versions"]) == (None, {"broker": "1.0"})
    assert two == {"skipped": "no engine", "versions": {}, "comparisons": []}
    (comparison,) = one["comparisons"]
    assert comparison["columns"] == ["ours", "floor", "peer"]
    assert comparison["rows"][0] == {
        "name": "speed",
        "unit": "ticks/s",
        "values": {"ours": 50.0, "floor": 100.0, "peer": 4.321},
        "ratio_to_floor": 0.5,
        "target": {"bound": 60, "at_least": True, "met": False},
    }
    assert comparison["rows"][2]["values"] == {"ours": None, "floor": 1.0, "peer": None}
    assert comparison["rows"][2]["target"]["met"] is None


def test_the_machine_is_described() -> None:
    described = machine.described()
    assert {"cores", "cpu", "memory_mib", "date", "revision", "load_average"} <= described.keys()
    assert described["memory_mib"] > 0
    assert described["versions"]["python"] == sys.version.split()[0]
    json.dumps(described)


def test_a_command_that_is_not_there_or_fails_says_nothing() -> None:
    assert machine.said_by(["there-is-no-such-command"]) is None
    assert machine.said_by(["false"]) is None


# ------------------------------------------------------------------------------ what is read where


def test_the_clock_reads_a_ledger_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    clock = TickClock(path)
    assert clock.newest() == 0
    commit = committer(str(path))
    assert clock.newest() == 0
    for _ in range(3):
        commit()
    assert clock.newest() == 3
    moments = clock.settled_at(1, 3)
    assert moments == sorted(moments)
    with pytest.raises(BenchFailed, match="lacks some of the ticks 2 to 4"):
        clock.settled_at(2, 4)


def test_waiting_for_a_tick_ends_with_trouble_or_after_its_time(tmp_path: Path) -> None:
    clock = TickClock(tmp_path / "ledger.db")
    with pytest.raises(BenchFailed, match="the market ended"):
        clock.wait_for(1, timeout_s=60, trouble=lambda: "the market ended")
    with pytest.raises(BenchFailed, match=r"tick 1 was not settled in 0.05 s"):
        clock.wait_for(1, timeout_s=0.05, trouble=str)


@needs_proc
@pytest.mark.parametrize("before_the_first_look", [10, 45])
def test_a_run_is_measured_between_its_two_ends_however_far_it_is_when_first_seen(
    tmp_path: Path, before_the_first_look: int
) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as ledger:
        ledger.execute("CREATE TABLE ticks (tick INTEGER PRIMARY KEY, at REAL)")
        ledger.commit()
    newest_at_the_ends: list[int] = []

    def newest() -> int:
        return TickClock(path).newest()

    def settle(ticks: int) -> None:
        with closing(sqlite3.connect(path)) as ledger:
            rows = [(number / 10,) for number in range(newest(), newest() + ticks)]
            ledger.executemany("INSERT INTO ticks (at) VALUES (?)", rows)
            ledger.commit()

    def settle_while_it_waits() -> str:
        settle(10)
        return ""

    settle(before_the_first_look)
    run = measured(
        path,
        Span(warm_up_ticks=10, ticks=20),
        {"us": [os.getpid()]},
        trouble=settle_while_it_waits,
        at_the_ends=lambda: newest_at_the_ends.append(newest()),
    )
    begun = before_the_first_look
    assert newest_at_the_ends == [begun, begun + 20]
    assert run.pace.ticks_per_s == pytest.approx(10)
    assert run.cpu_ms.keys() == run.memory.keys() == {"us"}
    assert run.memory["us"].rss_mib >= run.memory["us"].pss_mib > 0
    assert run.busy_cores == pytest.approx(run.all_cpu_ms * 10 / 1_000)


@needs_proc
def test_processor_time_and_memory_of_processes_are_read() -> None:
    before = cpu_s([os.getpid()])
    while cpu_s([os.getpid()]) - before < 0.02:
        sum(range(10_000))
    one, mean_of_two = memory([os.getpid()]), memory([os.getpid(), os.getpid()])
    assert mean_of_two.rss_mib == pytest.approx(one.rss_mib, rel=0.05)


@needs_proc
def test_a_child_is_found_by_its_name() -> None:
    child = subprocess.Popen(["sleep", "30"])
    try:
        assert children_named("sleep") == [child.pid]
        assert children_named("there-is-no-such-program") == []
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    ("text", "expected"), [("12.5MiB", 12.5), ("1GiB", 1024), ("512KiB", 0.5), ("0B", 0)]
)
def test_sizes_are_read_as_docker_writes_them(text: str, expected: float) -> None:
    assert mib(text) == expected


# -------------------------------------------------------------------------------------- the whole


def test_the_settle_benchmark_measures_few_homes_and_many_beside_its_floor() -> None:
    few, many = settling.Case(3, 3, 2, 2), (settling.Case(7, 1, 1, 2), settling.Case(100, 2, 1, 2))
    (comparison,) = settling.run(settling.Plan(few, many)).comparisons
    *costs, flat = comparison.rows
    assert [row.unit for row in costs] == ["us/tick", "ns/order", "ns/order"]
    for row in costs:
        assert all(value is not None and value > 0 for value in row.values.values())
    orders_ns = [row.values[settling.OURS] or 0 for row in costs[1:]]
    assert flat.values[settling.OURS] == pytest.approx(max(orders_ns) / min(orders_ns))


@pytest.fixture
def no_assume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder in which the peer is not installed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return assume_peer.environment_folder()


@pytest.mark.usefixtures("no_assume")
def test_the_embedded_benchmark_measures_five_ticks() -> None:
    few, many, year, orders = embedded.run(TINY).comparisons
    assert few.columns == (embedded.OURS, embedded.FLOOR, embedded.IN_FILE, embedded.ONE_EACH)
    assert [row.unit for row in few.rows] == ["ticks/s", "ticks/s", "us/tick", "us/tick"]
    for comparison in (few, many):
        for row in comparison.rows:
            assert row.values.keys() == set(comparison.columns)
            assert all(value is not None and value > 0 for value in row.values.values())
    assert [str(row.target or "") for row in year.rows] == ["≤ 30.0", "", "", "≤ 300", ""]
    assert all(row.values[embedded_alone.IN_FILE] for row in year.rows)
    assert orders.columns == ("4 homes", "5 homes"), "without the peer there is no column for it"
    assert orders.rows[-1].values == {"4 homes": 12, "5 homes": 10}
    assert any("python -m bench embedded --peers" in note for note in orders.notes)


def test_beside_the_peer_stands_how_many_times_as_fast_we_are(
    tmp_path: Path, no_assume: Path
) -> None:
    """A script stands in for its Python, and prints what the real one would."""
    figures = {"settled": 24, "wall_s": 12.0, "cpu_s": 8.0, "peak_mib": 150.0}
    script = no_assume / "bin" / "python"
    script.parent.mkdir(parents=True)
    line = json.dumps({**figures, "versions": {"assume-framework": "0.6.0"}})
    script.write_text(f"#!/bin/sh\necho 'a line of its log'\necho '{line}'\n")
    script.chmod(0o755)
    assert assume_peer.python() is None, "an installation that broke off is none"
    (no_assume / "complete").touch()
    table = embedded_alone.beside_assume(TINY.alone, tmp_path)
    assert table.columns == ("4 homes", "ASSUME", "5 homes")
    times, speed = table.rows[0], table.rows[1]
    assert speed.values["ASSUME"] == 2.0
    ours = speed.values["4 homes"]
    assert ours is not None
    assert times.values["4 homes"] == pytest.approx(ours / 2.0)
    assert str(times.target) == "≥ 100"
    assert "assume-framework 0.6.0" in table.notes


def test_a_peer_that_cannot_be_installed_is_told_and_the_rest_is_measured_all_the_same(
    no_assume: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The index is an empty folder: nothing is downloaded."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(command, "BENCHMARKS", {"embedded": lambda: Result([COMPARISON])})
    assert command.main(["embedded", "--peers"]) == 0
    output = capsys.readouterr().out
    assert "ASSUME could not be installed" in output
    assert "assume-framework==0.6.0" in output
    assert "50.0" in output
    assert not (no_assume / "complete").exists()


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("print('no figures')", "no figures"),
        ("print('{}')", "failed"),
        ("", "failed"),
        ("import time; time.sleep(60)", "took more than 0.5 s"),
    ],
)
def test_a_run_of_its_own_that_prints_no_figures_is_a_failure(program: str, sentence: str) -> None:
    timeout_s = 0.5 if "sleep" in program else 60
    with pytest.raises(BenchFailed, match=sentence):
        measured_alone([sys.executable, "-c", program], timeout_s=timeout_s)


def test_what_a_run_of_its_own_costs_is_told_per_order() -> None:
    alone = Alone(settled=600, wall_s=3.0, cpu_s=2.0, peak_mib=None)
    assert (alone.settled_per_s, alone.settled_per_cpu_s) == (200.0, 300.0)


def test_runs_that_do_not_compute_the_same_are_no_comparison(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedded, "plain", lambda _: Timed(1.0, 1.0, 1))
    with pytest.raises(BenchFailed, match="did not compute the same"):
        embedded.run(TINY)


def test_the_command_prints_the_tables_and_writes_the_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        command,
        "BENCHMARKS",
        {"embedded": lambda: Result([COMPARISON]), "compose": lambda: Result(skipped="no engine")},
    )
    file = tmp_path / "figures.json"
    assert command.main(["all", "--json", str(file)]) == 0
    output = capsys.readouterr().out
    assert "50.0" in output
    assert "compose skipped: no engine" in output
    document = json.loads(file.read_text())
    assert document["benchmarks"].keys() == {"embedded", "compose"}
    assert "load_average_at_the_end" in document["machine"]


def test_a_benchmark_that_fails_is_told_and_the_others_still_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> Result:
        raise BenchFailed("the broker [went] away")

    monkeypatch.setattr(
        command, "BENCHMARKS", {"distributed": fails, "embedded": lambda: Result([COMPARISON])}
    )
    assert command.main([]) == 1
    output = capsys.readouterr().out
    assert "distributed failed: the broker [went] away" in output
    assert "50.0" in output
