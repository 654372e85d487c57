"""The benchmark of orders over the broker, in small. How fast anything is decides no test."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bench import floor, orders
from bench.floor import CannotCompile, Load, Streamed, compiled
from bench.orders import FLOOR, OURS, PEER, PIKA, Plan
from bench.processes import children_running
from bench.report import BenchFailed, Comparison
from bench.servers import fresh_servers
from bench.settled_orders import INPUTS, WORKER, measured_afternoon
from energymarket import topology
from energymarket.bus.amqp_topology import queue_arguments

FEW = Load(homes=12, fleets=2, processes=2, warm_up_s=0.1, span_s=3.0)
COLUMNS = Load(homes=300, fleets=3, processes=1, warm_up_s=0.1, span_s=3.0)
TINY = Plan(one_each=FEW, in_columns=COLUMNS, runs=1)


def values(comparison: Comparison, name: str) -> dict[str, float | None]:
    (row,) = [row for row in comparison.rows if row.name == name]
    return dict(row.values)


def has_floors(folder: Path) -> bool:
    """Whether this machine can make them."""
    try:
        return compiled(folder).is_file()
    except CannotCompile:
        return False


# -------------------------------------------------------------------------------------- the whole


def test_the_benchmark_measures_twelve_homes_and_three_fleets(tmp_path: Path) -> None:
    floors = [FLOOR, PIKA] if has_floors(tmp_path) else []
    one_each, in_columns = orders.run(TINY).comparisons
    assert one_each.columns == [OURS, *floors, PEER]
    speed = values(one_each, "settled, or answered")
    assert speed.keys() == set(one_each.columns)
    assert all(value is not None and value > 0 for value in speed.values())
    assert in_columns.columns == [OURS, *floors[:1]]
    beside = values(in_columns, "settled; messages")
    assert beside.get(FLOOR) == speed.get(FLOOR)
    assert beside[OURS]
    assert children_running(WORKER) == []


def test_the_afternoons_homes_share_few_processes_and_all_of_them_order(tmp_path: Path) -> None:
    with fresh_servers() as servers:
        measured_afternoon(servers, FEW)
        with closing(sqlite3.connect(servers.folder / "ledger.db")) as ledger:
            (homes,) = ledger.execute("SELECT count(DISTINCT home) FROM orders").fetchone()
    assert homes == FEW.homes


# ------------------------------------------------------------------------------------- the tables

STREAMS = {
    OURS: Streamed(6_000.0, {"market": 80.0, "broker": 70.0, "homes": 60.0, INPUTS: 1.0}),
    PEER: Streamed(500.0, {"market": 500.0, "broker": 300.0, "homes": 200.0}),
    FLOOR: Streamed(8_000.0, {"market": 6.0, "broker": 70.0, "homes": 6.0}),
    PIKA: Streamed(7_000.0, {"market": 40.0, "broker": 70.0, "homes": 6.0}),
}


def test_ours_stands_beside_the_floor_and_the_peer_with_its_targets() -> None:
    one_each, in_columns = orders.shown(TINY, STREAMS, Streamed(400_000.0, {"market": 2.0}))
    assert values(one_each, "of the floor in C")[OURS] == 0.75
    assert values(one_each, "of the afternoon's")[OURS] == 12
    assert values(one_each, "CPU, weather, external")[FLOOR] is None
    cpu_us, cores = [dict(row.values) for row in one_each.rows if row.name == "CPU, all"]
    assert cpu_us[OURS] == 211
    assert cores[OURS] == pytest.approx(1.266)
    assert values(in_columns, "of the floor in C")[OURS] == 50
    met = {
        row.name: row.target.met_by(row.values[OURS] or 0)
        for comparison in (one_each, in_columns)
        for row in comparison.rows
        if row.target
    }
    assert met == {"of the floor in C": True, "of the afternoon's": True}


def test_without_a_compiler_the_floors_are_left_out_and_what_to_install_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floor, "_COMPILERS", ("there-is-no-such-compiler",))
    with pytest.raises(CannotCompile, match="there is no C compiler"):
        compiled(tmp_path)
    streams = {OURS: STREAMS[OURS], PEER: STREAMS[PEER]}
    missing = orders.why_no_floors(CannotCompile("there is no C compiler"))
    one_each, in_columns = orders.shown(TINY, streams, STREAMS[OURS], missing)
    assert (one_each.columns, one_each.floor) == ([OURS, PEER], None)
    assert in_columns.columns == [OURS]
    for comparison in (one_each, in_columns):
        assert values(comparison, "of the floor in C") == {}
        assert any("apt-get install gcc librabbitmq-dev" in note for note in comparison.notes)


# -------------------------------------------------------------------------------------- the floor


def test_the_floor_uses_the_names_and_the_limit_of_the_markets_topology() -> None:
    source = floor._SOURCE.read_text()
    assert f'ORDERS_QUEUE[] = "{topology.ORDERS_QUEUE}"' in source
    assert f'OFFERS[] = "{topology.OFFERS}"' in source
    assert f'RECEIPTS[] = "{topology.RECEIPTS}"' in source
    assert f"MAX_FLEET_QUEUED = {topology.MAX_FLEET_QUEUED};" in source
    queue = topology.own_queue("any")
    assert queue_arguments(queue) == {
        "x-queue-type": "classic",
        "x-max-length": topology.MAX_FLEET_QUEUED,
        "x-overflow": "drop-head",
    }
    assert queue.acknowledged_on_delivery


def test_a_floor_that_does_not_compile_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "floor.c"
    source.write_text("#include <there_is_no_such_header.h>\n")
    monkeypatch.setattr(floor, "_SOURCE", source)
    with pytest.raises(CannotCompile, match=r"there_is_no_such_header\.h|no C compiler"):
        compiled(tmp_path)


def test_a_program_that_says_something_else_is_a_failure_with_its_words(tmp_path: Path) -> None:
    program = tmp_path / "floor"
    program.write_text("#!/bin/sh\necho the broker is odd\n")
    program.chmod(0o755)
    with fresh_servers() as servers, pytest.raises(BenchFailed, match="the broker is odd"):
        floor.measured_floor(servers, FEW, 100, program)
