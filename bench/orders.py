"""Benchmark ``orders``: settled orders per second over a real RabbitMQ, beside floors and a peer.

Measured: the market as its users start it (pace 0, no deadline, the ledger synced each tick), under
the homes of ``energymarket load``, one order in a message and one receipt in a message. Beside it,
over the same kind of broker and with the same number of homes, fleets and processes:

- a bare consumer in C (``floor.c``) and one in plain pika (``bench.bare_consumer``): the same
  queues and messages, answered with the same bytes again and again, nothing decoded, computed or
  stored. Their homes are written in C too and do not wait for each other: each sends its next order
  when its receipt is there, so that what is measured is the broker. Their unit is the message.
- the afternoon's version (``bench.afternoon``): BlockingConnection, json, a commit per order.

Then the market with its columns: many homes in fleets of 1,000, a fleet's orders in one message;
its settled orders stand beside the messages of the floor in C.

The kinds are measured in turn, several times; what is shown is the median of each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pytest

from bench import floor
from bench.floor import BROKER, HOMES, MARKET, CannotCompile, Load, Streamed, measured_floor
from bench.report import Comparison, Result, Row, Target, at_least
from bench.servers import Servers, fresh_servers
from bench.settled_orders import INPUTS, measured_afternoon, measured_market
from tests.servers import RabbitServer

OURS = "energymarket"
FLOOR = "in C"
PIKA = "in pika"
PEER = "afternoon's"

OF_THE_FLOOR_WANTED = 0.6
TIMES_THE_PEER_WANTED = 8
TIMES_THE_FLOOR_WANTED = 10

_IN_FLIGHT = 20_000
"""The market's default for ENERGYMARKET_MAX_ORDERS_IN_FLIGHT, its prefetch."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured, and how often."""

    one_each: Load = field(default_factory=lambda: Load(2_000, 2, 2, 2.0, 10.0))
    in_columns: Load = field(default_factory=lambda: Load(100_000, 100, 2, 2.0, 10.0))
    runs: int = 3


Streams = Mapping[str, Streamed]


def run(plan: Plan | None = None) -> Result:
    """Measures; raises ``BenchFailed``. Without RabbitMQ, Redis or ``/proc`` it says so."""
    plan = plan or Plan()
    if not Path("/proc/self/stat").exists():
        return Result(skipped="processor time is read from /proc, as Linux has it")
    try:
        return _compared(plan)
    except pytest.fail.Exception as missing:  # the servers are those of the tests
        return Result(skipped=str(missing))


def _compared(plan: Plan) -> Result:
    with tempfile.TemporaryDirectory(prefix="energymarket-bench-") as folder:
        kinds = _kinds(plan.one_each)
        try:
            kinds |= _floors(plan.one_each, floor.compiled(Path(folder)))
            missing = ""
        except CannotCompile as error:
            missing = why_no_floors(error)
        one_each = _in_turn(kinds, plan.runs)
        columns = _in_turn({OURS: _in_columns(plan.in_columns)}, plan.runs)[OURS]
    return Result(shown(plan, one_each, columns, missing), {"rabbitmq": _rabbit_version()})


def why_no_floors(error: CannotCompile) -> str:
    """What the tables say where they lack the floors."""
    return f"no floors: {error}; they need a C compiler and librabbitmq; {floor.TO_INSTALL}"


def _rabbit_version() -> str:
    server = RabbitServer()
    try:
        return server.ctl("version").strip()
    finally:
        server.remove()


# ------------------------------------------------------------------------------------- measuring


Measure = Callable[[Servers], Streamed]


def _kinds(load: Load) -> dict[str, Measure]:
    return {
        OURS: lambda servers: measured_market(servers, load, _IN_FLIGHT, homes_per_message=1),
        PEER: lambda servers: measured_afternoon(servers, load),
    }


def _floors(load: Load, program: Path) -> dict[str, Measure]:
    return {
        FLOOR: lambda servers: measured_floor(servers, load, _IN_FLIGHT, program),
        PIKA: lambda servers: measured_floor(servers, load, _IN_FLIGHT, program, in_pika=True),
    }


def _in_columns(load: Load) -> Measure:
    return lambda servers: measured_market(servers, load, _IN_FLIGHT, homes_per_message=0)


def _in_turn(kinds: Mapping[str, Measure], runs: int) -> dict[str, Streamed]:
    """The median run of each kind, each run on servers of its own."""
    found: dict[str, list[Streamed]] = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind, measure in kinds.items():
            with fresh_servers() as servers:
                found[kind].append(measure(servers))
    return {kind: _middle(several) for kind, several in found.items()}


def _middle(several: Sequence[Streamed]) -> Streamed:
    """Medians, figure by figure."""
    return Streamed(
        orders_per_s=median(each.orders_per_s for each in several),
        cpu_us={kind: median(each.cpu_us[kind] for each in several) for kind in several[0].cpu_us},
    )


# --------------------------------------------------------------------------------------- showing


def shown(plan: Plan, one_each: Streams, columns: Streamed, missing: str = "") -> list[Comparison]:
    """Both tables; ``missing`` says why ``one_each`` has no floors."""
    return [
        _single(plan, one_each, missing),
        _columns(plan, columns, one_each.get(FLOOR), missing),
    ]


def _single(plan: Plan, streams: Streams, missing: str) -> Comparison:
    columns = [name for name in (OURS, FLOOR, PIKA, PEER) if name in streams]
    load = plan.one_each
    return Comparison(
        title=f"One order in a message: {load.homes:,} homes in {load.fleets} fleets and "
        f"{load.processes} processes",
        columns=columns,
        rows=[
            _row("settled, or answered", "orders/s", streams, lambda each: each.orders_per_s),
            _times("of the floor in C", streams, FLOOR, at_least(OF_THE_FLOOR_WANTED)),
            _times("of the afternoon's", streams, PEER, at_least(TIMES_THE_PEER_WANTED)),
            *_cpu_rows(streams),
        ],
        floor=FLOOR if FLOOR in streams else None,
        notes=(
            f"each figure is the median of {plan.runs} runs of {load.span_s:g} s, in turn",
            f"{FLOOR}, {PIKA}: the same queues and messages, answered with the same bytes; nothing "
            "decoded, computed or stored; homes in C that do not wait for each other",
            f"{PEER} version: BlockingConnection, json, acknowledged one by one, a commit per "
            "order; nothing confirmed",
            *([missing] if missing else []),
        ),
    )


def _columns(plan: Plan, ours: Streamed, beside: Streamed | None, missing: str) -> Comparison:
    streams = {OURS: ours} | ({FLOOR: beside} if beside else {})
    load = plan.in_columns
    return Comparison(
        title=f"Orders in columns: {load.homes:,} homes in {load.fleets} fleets and "
        f"{load.processes} processes",
        columns=list(streams),
        rows=[
            _row("settled; messages", "per second", streams, lambda each: each.orders_per_s),
            _times("of the floor in C", streams, FLOOR, at_least(TIMES_THE_FLOOR_WANTED)),
            *_cpu_rows({OURS: ours}),
        ],
        notes=(
            f"{FLOOR}: the messages per second of the table above, each of which has one order",
            *([missing] if missing else []),
        ),
    )


def _row(name: str, unit: str, streams: Streams, figure: Callable[[Streamed], float | None]) -> Row:
    return Row(name, unit, {kind: figure(stream) for kind, stream in streams.items()})


def _times(name: str, streams: Streams, other: str, target: Target) -> Row:
    """Every column's orders per second divided by those of ``other``."""
    if other not in streams:
        return Row(name, "times", {}, target)
    whole = streams[other].orders_per_s
    values = {kind: stream.orders_per_s / whole for kind, stream in streams.items()}
    return Row(name, "times", values, target)


def _cpu_rows(streams: Streams) -> list[Row]:
    rows = [
        _row(f"CPU, {kind}", "us/order", streams, lambda stream, kind=kind: stream.cpu_us.get(kind))  # type: ignore[misc]
        for kind in (MARKET, HOMES, BROKER, INPUTS)
    ]
    return [
        *rows,
        _row("CPU, all", "us/order", streams, lambda each: sum(each.cpu_us.values())),
        _row(
            "CPU, all",
            "cores busy",
            streams,
            lambda each: sum(each.cpu_us.values()) * each.orders_per_s / 1e6,
        ),
    ]
