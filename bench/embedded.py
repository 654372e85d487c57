"""Benchmark ``embedded``: ticks per second of the whole market in one process, without a pace.

Measured: the wall time between two settled ticks of a run that nothing holds up (pace 0, no
deadline), the first ``warm_up_ticks`` left out. Each kind of run is made ``runs`` times, the kinds
in turn, so that what disturbs the machine disturbs all of them.

Beside it stands the plain loop (``bench.plain_loop``), which computes the same numbers without bus,
codec, ledger, hash and audit; that both end at the same price shows that they did the same work.
Then, each run in a process of its own (``bench.embedded_alone``): a year of 1,000 homes, and our
orders beside the bids of the peer ASSUME.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import embedded_alone
from bench.embedded_run import Case, Timed, embedded, plain
from bench.report import BenchFailed, Comparison, Result, Row, Target, at_least

TICKS_PER_S_WANTED = 1_000

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
    alone: embedded_alone.Plan = field(default_factory=embedded_alone.Plan)


def run(plan: Plan | None = None) -> Result:
    """Measures; raises ``BenchFailed`` when two kinds of run do not end at the same price."""
    plan = plan or Plan()
    few = Case(plan.homes, plan.warm_up_ticks, plan.ticks)
    many = Case(plan.many_homes, plan.many_warm_up_ticks, plan.many_ticks)
    with tempfile.TemporaryDirectory(prefix="energymarket-bench-") as name:
        folder = Path(name)
        return Result(
            [
                _ticks(few, plan.runs, folder),
                _home_ticks(many, plan.runs),
                embedded_alone.year(plan.alone, folder),
                embedded_alone.beside_assume(plan.alone, folder),
            ]
        )


def _ticks(case: Case, runs: int, folder: Path) -> Comparison:
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


def _home_ticks(case: Case, runs: int) -> Comparison:
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
