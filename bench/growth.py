"""Benchmark ``growth``: the same system with ever more homes, and with ever more processes.

Measured over a real RabbitMQ and Redis, pace 0, no deadline, the ledger synced each tick. First
homes as columns: the fleets of ``energymarket load``, four of them in two processes, against the
market as a service, for 20 homes up to a million. Then homes as processes: one home each, as users
scale them, from one to 200. Each number of them begins on new servers with a new ledger; the larger
it is, the fewer ticks are measured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench.fleets_run import FLEETS, FLEETS_IN_ALL, PROCESSES, Grown, fleets_run
from bench.measured_run import Measured, Span
from bench.peers import BROKER, HOME_PROCESSES, LISTENERS, MARKET
from bench.real_system import REDIS, home_processes, server_versions, where_it_can_be_measured
from bench.report import BenchFailed, Comparison, Result, Row, at_most
from bench.servers import Servers, fresh_servers

DEAREST_TO_CHEAPEST = 1.5
MARKET_MIB = 1024
FLAT_FROM_HOMES = 1_000

HOMES, PROCESSES_OF_HOMES = "Homes as columns", "Homes as processes"
"""How the titles of the two tables begin; the plot finds them by that."""
ORDERS_PER_S, TICKS_PER_S, P50, P99 = "settled", "speed", "tick, p50", "tick, p99"

_MEASURED = "measured"

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Size:
    """How many homes, or processes, and for how long; whatever is large is slow."""

    count: int
    warm_up_ticks: int
    ticks: int
    slowest_tick_s: float = 2.0

    @property
    def span(self) -> Span:
        """With time for so many processes to start, or homes to join."""
        within_s = 90.0 + 2 * self.slowest_tick_s + 1.5 * min(self.count, 200)
        return Span(self.warm_up_ticks, self.ticks, within_s, self.slowest_tick_s)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    homes: Sequence[Size] = (
        Size(20, 100, 1_500),
        Size(1_000, 50, 800),
        Size(10_000, 20, 250),
        Size(100_000, 5, 50, 10.0),
        Size(1_000_000, 2, 10, 60.0),
    )
    processes: Sequence[Size] = (
        *(Size(1, 50, 800), Size(2, 50, 800), Size(5, 50, 600), Size(10, 50, 500)),
        *(Size(20, 50, 400), Size(50, 20, 200), Size(100, 10, 120), Size(200, 10, 60)),
    )


def run(plan: Plan | None = None) -> Result:
    """Measures; raises ``BenchFailed``. Without RabbitMQ, Redis or ``/proc`` it says so."""
    chosen = plan or Plan()
    return where_it_can_be_measured(lambda: _grown(chosen))


def _grown(plan: Plan) -> Result:
    versions: dict[str, str] = {}
    grown, homes_failed = _measured(fleets_run, plan.homes, versions)
    runs, processes_failed = _measured(home_processes, plan.processes, versions)
    processes = {f"{count:,}": run for count, run in runs.items()}
    return Result(
        [
            *([_homes([*grown.values()], homes_failed)] if grown else []),
            *([_targets([*grown.values()])] if grown else []),
            *([_processes(processes, processes_failed)] if processes else []),
        ],
        versions,
    )


def _measured(
    measure: Callable[[Servers, int, Span], Found], sizes: Sequence[Size], versions: dict[str, str]
) -> tuple[dict[int, Found], list[str]]:
    """Each size on servers of its own. One that breaks down costs the others nothing: why it did
    is in the second list. Raises ``BenchFailed`` when all have."""
    found: dict[int, Found] = {}
    failed: list[str] = []
    for size in sizes:
        try:
            with fresh_servers() as servers:
                found[size.count] = measure(servers, size.count, size.span)
                versions.update(versions or server_versions(servers))
            print(f"{size.count:,} measured", file=sys.stderr)
        except BenchFailed as error:
            print(f"{size.count:,} could not be measured: {error}", file=sys.stderr)
            failed.append(
                f"{size.count:,} could not be measured: {str(error).partition(chr(10))[0]}"
            )
    if failed and not found:
        raise BenchFailed("; ".join(failed))
    return found, failed


# --------------------------------------------------------------------------------------- showing


def _homes(grown: Sequence[Grown], failed: Sequence[str] = ()) -> Comparison:
    def row(name: str, unit: str, figure: Callable[[Grown], float]) -> Row:
        return Row(name, unit, {_name(each): figure(each) for each in grown})

    def cpu(kind: str) -> Row:
        return row(f"CPU, {kind}", "ns/order", lambda each: each.cpu_ns_per_order(kind))

    def peak(kind: str, name: str = "") -> Row:
        return row(
            f"memory, {name or kind}, peak", "MiB", lambda each: each.run.memory[kind].peak_mib
        )

    return Comparison(
        title=f"{HOMES}: {FLEETS_IN_ALL} fleets in {PROCESSES} processes over RabbitMQ, pace 0; "
        "by homes",
        columns=tuple(_name(each) for each in grown),
        rows=[
            row(ORDERS_PER_S, "orders/s", lambda each: each.orders_per_s),
            row(TICKS_PER_S, "ticks/s", lambda each: each.run.pace.ticks_per_s),
            row(P50, "ms", lambda each: each.run.pace.p50_ms),
            row(P99, "ms", lambda each: each.run.pace.p99_ms),
            *(cpu(kind) for kind in (MARKET, FLEETS, BROKER)),
            row("CPU, all", "cores busy", lambda each: each.run.busy_cores),
            peak(MARKET),
            peak(FLEETS, "a load process"),
            peak(BROKER),
            row("ledger", "B/home-tick", lambda each: each.ledger_bytes_per_home_tick),
        ],
        notes=("p99 of fewer than a hundred ticks is the slowest of them", *failed),
    )


def _name(grown: Grown) -> str:
    return f"{grown.homes:,}"


def _targets(grown: Sequence[Grown]) -> Comparison:
    many = [each for each in grown if each.homes >= FLAT_FROM_HOMES] or grown
    least, most = many[0], max(grown, key=lambda each: each.homes)
    costs = [each.cpu_ns_per_order(MARKET) for each in many]
    return Comparison(
        title="Growth: what is wanted",
        columns=(_MEASURED,),
        rows=[
            Row(
                f"market's CPU per order, the dearest from {_name(least)} homes on",
                f"times that of {_name(least)}",
                {_MEASURED: max(costs) / costs[0]},
                at_most(DEAREST_TO_CHEAPEST),
            ),
            Row(
                f"market's memory with {_name(most)} homes, peak",
                "MiB",
                {_MEASURED: most.run.memory[MARKET].peak_mib},
                at_most(MARKET_MIB),
            ),
        ],
    )


def _processes(runs: Mapping[str, Measured], failed: Sequence[str] = ()) -> Comparison:
    def row(name: str, unit: str, figure: Callable[[Measured], float]) -> Row:
        return Row(name, unit, {count: figure(run) for count, run in runs.items()})

    def cpu(kind: str) -> Row:
        return row(f"CPU, {kind}", "ms/tick", lambda run: run.cpu_ms[kind])

    def memory(name: str, kind: str) -> Row:
        return row(f"memory, {name}", "MiB", lambda run: run.memory[kind].rss_mib)

    return Comparison(
        title=f"{PROCESSES_OF_HOMES}: a home each, over RabbitMQ, pace 0; by processes",
        columns=tuple(runs),
        rows=[
            row(TICKS_PER_S, "ticks/s", lambda run: run.pace.ticks_per_s),
            row(P50, "ms", lambda run: run.pace.p50_ms),
            row(P99, "ms", lambda run: run.pace.p99_ms),
            *(cpu(kind) for kind in (MARKET, HOME_PROCESSES, LISTENERS, BROKER, REDIS)),
            row("CPU, all", "cores busy", lambda run: run.busy_cores),
            memory("a home", HOME_PROCESSES),
            memory("market", MARKET),
            memory("broker", BROKER),
        ],
        notes=("memory: resident, what processes share counted in each", *failed),
    )
