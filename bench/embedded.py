"""Benchmark ``embedded``: ticks per second of the whole market in one process, without a pace.

Measured: the wall time between two settled ticks of a run that nothing holds up (pace 0, no
deadline), the first ``warm_up_ticks`` left out. Each kind of run is made ``runs`` times, the kinds
in turn, so that what disturbs the machine disturbs all of them.

Beside it stands the plain loop (``bench.plain_loop``), which computes the same numbers without bus,
codec, ledger, hash and audit; that both end at the same price shows that they did the same work.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.plain_loop import PlainLoop
from bench.report import BenchFailed, Comparison, Result, Row, Target, at_least
from energymarket import telemetry
from lab.embedded import EmbeddedRun, WorldPlan
from services.market.domain.rules import Rules
from services.market.tick_cycle import Tempo

SEED = 42
TICKS_PER_S_WANTED = 1_000
IN_MEMORY = "sqlite://"

OURS = "in memory"
FLOOR = "plain loop"
IN_FILE = "in a file"
ONE_EACH = "a fleet each"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    homes: int = 20
    ticks: int = 3_000
    warm_up_ticks: int = 200
    many_homes: int = 1_000
    many_ticks: int = 150
    many_warm_up_ticks: int = 10
    runs: int = 3


@dataclass(frozen=True, slots=True)
class _Case:
    """A world's size, and how far it is run."""

    homes: int
    warm_up_ticks: int
    ticks: int


@dataclass(frozen=True, slots=True)
class Timed:
    """One run: per tick, and the price after the last (which tells whether it was the same run).

    ``cpu_us`` is what this process used of a processor, which a busy machine hardly changes.
    """

    wall_us: float
    cpu_us: float
    price_neur_per_wh: int

    @property
    def ticks_per_s(self) -> float:
        return 1e6 / self.wall_us


def run(plan: Plan | None = None) -> Result:
    """Measures; raises ``BenchFailed`` when two kinds of run do not end at the same price."""
    plan = plan or Plan()
    few = _Case(plan.homes, plan.warm_up_ticks, plan.ticks)
    many = _Case(plan.many_homes, plan.many_warm_up_ticks, plan.many_ticks)
    with tempfile.TemporaryDirectory(prefix="energymarket-bench-") as folder:
        return Result([_ticks(few, plan.runs, Path(folder)), _home_ticks(many, plan.runs)])


def _ticks(case: _Case, runs: int, folder: Path) -> Comparison:
    files = iter(f"sqlite:///{folder}/ledger-{number}.db" for number in range(runs))
    timed = _measured(
        runs,
        {
            OURS: lambda: embedded(case),
            FLOOR: lambda: plain(case),
            IN_FILE: lambda: embedded(case, ledger_url=next(files)),
            ONE_EACH: lambda: embedded(case, fleets=case.homes),
        },
    )
    return Comparison(
        title=f"Embedded run, {case.homes} homes, pace 0, {case.ticks:,} ticks x {runs} runs",
        columns=(OURS, FLOOR, IN_FILE, ONE_EACH),
        rows=[
            _row("median", "ticks/s", timed, _median_ticks_per_s, at_least(TICKS_PER_S_WANTED)),
            _row("best", "ticks/s", timed, _best_ticks_per_s),
            _row("time, median", "us/tick", timed, lambda t: median(r.wall_us for r in t)),
            _row("CPU, median", "us/tick", timed, lambda t: median(r.cpu_us for r in t)),
        ],
        floor=FLOOR,
        notes=(
            f"{FLOOR}: what the ticks compute; no bus, codec, ledger, hash, audit",
            f"{OURS}, {IN_FILE}: where the ledger is; in a file it is synced each tick",
            f"{ONE_EACH}: in memory, each home joins by itself: {case.homes} order messages a tick",
        ),
    )


def _home_ticks(case: _Case, runs: int) -> Comparison:
    timed = _measured(runs, {OURS: lambda: embedded(case), FLOOR: lambda: plain(case)})
    homes = case.homes
    return Comparison(
        title=f"Embedded run, {homes:,} homes, pace 0, {case.ticks:,} ticks x {runs} runs",
        columns=(OURS, FLOOR),
        rows=[
            _row("median", "home-ticks/s", timed, lambda t: homes * _median_ticks_per_s(t)),
            _row("best", "home-ticks/s", timed, lambda t: homes * _best_ticks_per_s(t)),
            _row("median", "ticks/s", timed, _median_ticks_per_s),
            _row(
                "CPU, median",
                "us/home-tick",
                timed,
                lambda t: median(r.cpu_us for r in t) / homes,
            ),
        ],
        floor=FLOOR,
    )


def _median_ticks_per_s(runs: Sequence[Timed]) -> float:
    return median(run.ticks_per_s for run in runs)


def _best_ticks_per_s(runs: Sequence[Timed]) -> float:
    return max(run.ticks_per_s for run in runs)


def _row(
    name: str,
    unit: str,
    timed: Mapping[str, Sequence[Timed]],
    figure: Callable[[Sequence[Timed]], float],
    target: Target | None = None,
) -> Row:
    return Row(name, unit, {kind: figure(runs) for kind, runs in timed.items()}, target)


def _measured(runs: int, kinds: Mapping[str, Callable[[], Timed]]) -> dict[str, list[Timed]]:
    """Makes each kind of run ``runs`` times, in turn."""
    timed: dict[str, list[Timed]] = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind, measure in kinds.items():
            timed[kind].append(measure())
    prices = {run.price_neur_per_wh for done in timed.values() for run in done}
    if len(prices) != 1:
        raise BenchFailed(f"the runs did not compute the same: last prices {sorted(prices)}")
    return timed


def embedded(case: _Case, *, ledger_url: str = IN_MEMORY, fleets: int = 1) -> Timed:
    """One embedded run, timed behind its warm-up."""
    last_tick = case.warm_up_ticks + case.ticks
    tempo = Tempo(tick_s=0, deadline_s=0, start_homes=case.homes, max_ticks=last_tick)
    plan = WorldPlan(
        homes=case.homes, fleets=fleets, rules=Rules(SEED), ledger_url=ledger_url, tempo=tempo
    )
    log = telemetry.configure("bench", level="warning", form="text", stream=sys.stderr)
    world = EmbeddedRun(plan, log=log)
    books = world.market.books
    world.start()
    while books.tick < case.warm_up_ticks:
        world.rest_until(world.step())
    timer, from_tick = _Timer(), books.tick
    while not world.finished:
        world.rest_until(world.step())
    timed = timer.stop(last_tick - from_tick, books.next_price_neur_per_wh)
    world.stop()
    return timed


def plain(case: _Case) -> Timed:
    """One plain loop, timed behind its warm-up."""
    loop = PlainLoop(case.homes, SEED)
    loop.run_to(case.warm_up_ticks)
    timer = _Timer()
    loop.run_to(case.warm_up_ticks + case.ticks)
    return timer.stop(case.ticks, loop.price_neur_per_wh)


class _Timer:
    """Runs from its making; both clocks, so that a busy machine can be told from a slow program."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def stop(self, ticks: int, price_neur_per_wh: int) -> Timed:
        """What ``ticks`` ticks took, each."""
        wall_s = time.perf_counter() - self._wall_s
        cpu_s = time.process_time() - self._cpu_s
        return Timed(1e6 * wall_s / ticks, 1e6 * cpu_s / ticks, price_neur_per_wh)
