"""Benchmark ``profile``: where the market's tick goes, by phase and by function.

Measured: the market of benchmark ``growth`` (fleets of the load test over a real RabbitMQ, pace 0,
the ledger synced) with 1,000 and with 100,000 homes. The phases are the market's own histograms;
the functions come from a sampler inside its process (``bench.sampler``), which costs it a few
percent.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.fleets_run import Grown, fleets_run
from bench.growth import Size
from bench.profiled_market import FILE
from bench.real_system import Phases, where_it_can_be_measured
from bench.report import BenchFailed, Comparison, Result, Row
from bench.servers import fresh_servers
from tests.system.processes import System

MS, SHARE, CPU_MS, CPU_SHARE = "ms a tick", "share", "CPU ms a tick", "share of CPU"
OTHER_THREADS = "other threads: connection, API"
ALL = "all"

_MODULE = "bench.profiled_market"
_FUNCTIONS_SHOWN = 16
_WRITE_S = 30.0
_INSIDE = {"decode": "collect", "take": "collect", "encode": "answer"}
"""Phases that are part of another one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is profiled."""

    sizes: Sequence[Size] = (Size(1_000, 50, 600), Size(100_000, 5, 40, 10.0))


def run(plan: Plan | None = None) -> Result:
    """Measures; raises ``BenchFailed``. Without RabbitMQ, Redis or ``/proc`` it says so."""
    chosen = plan or Plan()
    return where_it_can_be_measured(
        lambda: Result([table for size in chosen.sizes for table in _profiled(size)])
    )


def _profiled(size: Size) -> tuple[Comparison, Comparison]:
    phases = Phases()
    ticks: list[int] = []
    with fresh_servers() as servers:

        def at_an_end(running: System) -> None:
            phases.look_up(running)
            ticks.append(running.tick())
            market = running.processes[0]
            market.signal(signal.SIGUSR2 if len(ticks) > 1 else signal.SIGUSR1)

        grown = fleets_run(
            servers, size.count, size.span, market_module=_MODULE, at_the_ends=at_an_end
        )
        counted = _read(servers.folder / FILE)
    return (
        _by_phase(grown, phases.means_ms()),
        _by_function(grown, counted, ticks[-1] - ticks[0]),
    )


def _read(file: Path) -> Mapping[str, Any]:
    """What the market has written, or is about to write."""
    deadline = time.monotonic() + _WRITE_S
    while not file.exists():
        if time.monotonic() > deadline:
            raise BenchFailed(f"the market wrote no {file.name} in {_WRITE_S:g} s")
        time.sleep(0.05)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


# --------------------------------------------------------------------------------------- showing


def _by_phase(grown: Grown, means_ms: Mapping[str, float]) -> Comparison:
    tick_ms = 1_000 / grown.run.pace.ticks_per_s

    def row(name: str, ms: float) -> Row:
        return Row(name, "", {MS: ms, SHARE: ms / tick_ms})

    rows = []
    for phase in ("collect", "decode", "take", "settle", "commit", "answer", "encode"):
        name = f"{phase}, in {_INSIDE[phase]}" if phase in _INSIDE else phase
        rows.append(row(name, means_ms.get(phase, 0.0)))
    phases_ms = sum(ms for phase, ms in means_ms.items() if phase not in _INSIDE)
    # The phases are looked up a moment before or after the span ends: the rest may be just none.
    rows += [row("all else", max(tick_ms - phases_ms, 0.0)), row("tick", tick_ms)]
    return Comparison(
        title=f"The market's tick by phase, {grown.homes:,} homes",
        columns=(MS, SHARE),
        rows=rows,
        notes=(
            "collect: from the opening of the tick until the last order is in; what is not decode "
            "or take is waiting for it",
        ),
    )


def _by_function(grown: Grown, counted: Mapping[str, Any], ticks: int) -> Comparison:
    functions: Mapping[str, tuple[float, float]] = counted["functions"]
    whole_s = sum(wall_s for wall_s, _ in functions.values()) or 1.0
    whole_cpu_s: float = counted["process_cpu_s"] or 1.0

    def row(name: str, cpu_s: float, wall_s: float | None = None) -> Row:
        values: dict[str, float | None] = {
            CPU_MS: 1_000 * cpu_s / ticks,
            CPU_SHARE: cpu_s / whole_cpu_s,
        }
        if wall_s is not None:
            values |= {MS: 1_000 * wall_s / ticks, SHARE: wall_s / whole_s}
        return Row(name, "", values)

    ordered = sorted(functions.items(), key=lambda item: -item[1][0])
    rest = [each for _, each in ordered[_FUNCTIONS_SHOWN:]]
    thread_cpu_s = sum(cpu_s for _, cpu_s in functions.values())
    return Comparison(
        title=f"The market's tick by function, {grown.homes:,} homes: its service thread",
        columns=(MS, SHARE, CPU_MS, CPU_SHARE),
        rows=[
            *(row(name, cpu_s, wall_s) for name, (wall_s, cpu_s) in ordered[:_FUNCTIONS_SHOWN]),
            row(
                f"{len(rest)} other functions",
                sum(cpu_s for _, cpu_s in rest),
                sum(wall_s for wall_s, _ in rest),
            ),
            row(OTHER_THREADS, whole_cpu_s - thread_cpu_s),
            row(ALL, whole_cpu_s, whole_s),
        ],
        notes=(
            "what a library does counts for the function that called it",
            "the sampler's own processor time is among that of the other threads",
        ),
    )
