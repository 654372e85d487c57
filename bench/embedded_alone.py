"""The part of benchmark ``embedded`` whose runs have a process each, so that memory can be told.

A year of many homes, with its ledger in a file and in a temporary one, as without ``--out``; and as
many orders an hour as a market of the peer ASSUME has bids, which runs behind it
(``bench.assume_world``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import assume_peer
from bench.alone import Alone, ours_alone
from bench.embedded_run import Case
from bench.report import Comparison, Row, Target, at_least, at_most

YEAR_WITHIN_S = 30
YEAR_MIB = 300
TIMES_ASSUME = 100

IN_FILE = "in a file"
TEMPORARILY = "temporary"
ASSUME = "ASSUME"

_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A year is ``year_ticks`` hours. ASSUME needs 5 s a simulated day of 1,000 units."""

    year_homes: int = 1_000
    year_ticks: int = 8_760
    peer_homes: int = 1_000
    peer_ticks: int = 1_000
    peer_hours: int = 50
    large_homes: int = 100_000
    large_ticks: int = 20


def year(plan: Plan, folder: Path) -> Comparison:
    """A year, from the first tick to the last; raises ``BenchFailed``."""
    case = Case(plan.year_homes, 0, plan.year_ticks)
    runs = {
        name: ours_alone(case, ledger=ledger, timeout_s=_TIMEOUT_S)
        for name, ledger in ((IN_FILE, folder / "year.db"), (TEMPORARILY, None))
    }
    return Comparison(
        title=f"A year in one process: {case.homes:,} homes, {case.ticks:,} ticks, pace 0",
        columns=(IN_FILE, TEMPORARILY),
        rows=[
            _row("time", "s", runs, lambda run: run.wall_s, at_most(YEAR_WITHIN_S)),
            _row("CPU", "s", runs, lambda run: run.cpu_s),
            _row("speed", "home-ticks/s", runs, lambda run: run.settled_per_s),
            _row("memory, peak", "MiB", runs, lambda run: run.peak_mib, at_most(YEAR_MIB)),
            Row("ledger", "MiB", {IN_FILE: _size_mib(folder / "year.db")}),
        ],
        notes=(
            f"{IN_FILE}: the ledger is synced each tick; {TEMPORARILY}: it goes with the run, as "
            "that of a run without --out",
            "memory: all that was ever resident, the interpreter and its libraries included",
        ),
    )


def beside_assume(plan: Plan, folder: Path) -> Comparison:
    """Orders settled and bids cleared per second; raises ``BenchFailed``."""
    case = Case(plan.peer_homes, 0, plan.peer_ticks)
    large = Case(plan.large_homes, 0, plan.large_ticks)
    ours = f"{case.homes:,} homes"
    larger = f"{large.homes:,} homes"
    runs = {
        ours: ours_alone(case, ledger=folder / "peer.db", timeout_s=_TIMEOUT_S),
        larger: ours_alone(large, ledger=folder / "large.db", timeout_s=_TIMEOUT_S),
    }
    peer = assume_peer.assume_alone(plan.peer_homes, plan.peer_hours, timeout_s=_TIMEOUT_S)
    if peer:
        runs = {ours: runs[ours], ASSUME: peer, larger: runs[larger]}
    rows = [
        _row("orders or bids", "1/s", runs, lambda run: run.settled_per_s),
        _row("orders or bids", "1/CPU second", runs, lambda run: run.settled_per_cpu_s),
        _row("CPU", "us each", runs, lambda run: 1e6 / run.settled_per_cpu_s),
        _row("memory, peak", "MiB", runs, lambda run: run.peak_mib),
        _row("orders or bids in all", "", runs, lambda run: run.settled),
    ]
    if peer:
        rows.insert(0, _times(runs, peer))
    return Comparison(
        title=f"Orders settled and bids cleared, {case.homes:,} an hour, in one process",
        columns=tuple(runs),
        rows=rows,
        floor=ASSUME if peer else None,
        notes=_notes(plan, peer),
    )


def _times(runs: Mapping[str, Alone], peer: Alone) -> Row:
    times = {name: run.settled_per_s / peer.settled_per_s for name, run in runs.items()}
    return Row(f"times {ASSUME}'s speed", "", times, at_least(TIMES_ASSUME))


def _notes(plan: Plan, peer: Alone | None) -> tuple[str, ...]:
    ours = (
        f"ours: {plan.peer_ticks:,} ticks ({plan.large_homes:,} homes: {plan.large_ticks:,}), "
        "ledger in a file, synced each tick; gifts, stocks, bills, hash and audit of every home"
    )
    if peer is None:
        return ours, assume_peer.HOW_TO_GET_IT
    versions = ", ".join(f"{name} {version}" for name, version in peer.versions.items())
    return (
        ours,
        f"{ASSUME}: {plan.peer_homes:,} units for {plan.peer_hours} hours, pay-as-clear, a naive "
        "bid each; two operators, nothing written",
        f"{ASSUME} does more: strategies (learning ones too), costs and ramps of plants, several "
        "markets and mechanisms, grids, forecasts",
        f"{ASSUME} does less: no ledger, stocks, bills or audit; no message is encoded",
        versions,
    )


def _row(
    name: str,
    unit: str,
    runs: Mapping[str, Alone],
    figure: Callable[[Alone], float | None],
    target: Target | None = None,
) -> Row:
    return Row(name, unit, {kind: figure(run) for kind, run in runs.items()}, target)


def _size_mib(file: Path) -> float:
    return file.stat().st_size / 2**20
