"""The real system with the fleets of the load test as its homes: many homes in few processes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.measured_run import Measured, Span, measured
from bench.processes import Kinds
from bench.real_system import market_at_full_speed, trouble
from bench.report import BenchFailed
from bench.servers import Servers
from energymarket.errors import EnergyMarketError
from lab.load import wire
from lab.load.account import Account
from lab.load.crew import Crew
from lab.load.plan import ENDLESS_TICK, LoadPlan
from tests.system.processes import System

FLEETS = "load"
PROCESSES = 2
FLEETS_IN_ALL = 4

_JOIN_S = 60.0
_JOIN_S_PER_HOME = 0.000_2
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Grown:
    """A measured run of ``homes``, and by how much the ledger grew."""

    homes: int
    run: Measured
    ledger_bytes_per_home_tick: float

    @property
    def orders_per_s(self) -> float:
        return self.homes * self.run.pace.ticks_per_s

    def cpu_ns_per_order(self, kind: str) -> float:
        """Processor time of all processes of a kind."""
        return 1e6 * self.run.cpu_ms[kind] / self.homes


@dataclass(frozen=True, slots=True)
class _Size:
    tick: int
    size_bytes: int


def fleets_run(
    servers: Servers,
    homes: int,
    span: Span,
    *,
    market_module: str = "",
    at_the_ends: Callable[[System], None] = lambda _: None,
) -> Grown:
    """The system with ``homes`` homes of the load test, which order as soon as a tick is open.

    Raises ``BenchFailed``. ``market_module`` as in ``market_at_full_speed``; ``at_the_ends`` is
    called at both ends of the span.
    """
    fleets = min(FLEETS_IN_ALL, homes)
    plan = LoadPlan(servers.rabbit.url, homes=homes, fleets=fleets, processes=PROCESSES)
    sizes: list[_Size] = []
    with market_at_full_speed(servers, homes, market_module=market_module) as (running, others):

        def at_an_end() -> None:
            sizes.append(_size(running.ledger))
            at_the_ends(running)

        crew = Crew(plan)
        try:
            _begin(crew, plan, running)
            kinds: Kinds = {**others, FLEETS: crew.pids}
            run = measured(
                running.ledger,
                span,
                kinds,
                trouble=lambda: trouble(running) or _trouble(crew),
                at_the_ends=at_an_end,
            )
        finally:
            crew.dismiss()
    ticks = sizes[-1].tick - sizes[0].tick
    return Grown(homes, run, (sizes[-1].size_bytes - sizes[0].size_bytes) / (homes * ticks))


def _begin(crew: Crew, plan: LoadPlan, running: System) -> None:
    """Waits until all fleets have joined, then lets them order."""
    account = Account(len(crew))
    deadline = time.monotonic() + _JOIN_S + _JOIN_S_PER_HOME * plan.homes
    while account.joined_fleets < plan.fleets:
        said = trouble(running)
        if not said and time.monotonic() > deadline:
            said = f"only {account.joined_fleets} of {plan.fleets} fleets: {crew.last_words()}"
        if said:
            raise BenchFailed(said)
        try:
            for number, sample in crew.news(_LOOK_S):
                account.take(number, sample)
        except EnergyMarketError as error:
            raise BenchFailed(str(error)) from error
    crew.go(wire.Go(base_tick=1, last_tick=ENDLESS_TICK, begin_at=time.monotonic(), pace_s=0.0))


def _trouble(crew: Crew) -> str:
    """Why a worker has ended, if one has; what they say besides is let go."""
    try:
        for _ in crew.news(0):
            pass
    except EnergyMarketError as error:
        return str(error)
    return ""


def _size(ledger: Path) -> _Size:
    """The newest tick, and what the database holds with it, what is still in its log included."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("BEGIN")
        ((tick,),) = connection.execute("SELECT max(tick) FROM ticks")
        ((pages,),) = connection.execute("PRAGMA page_count")
        ((page_bytes,),) = connection.execute("PRAGMA page_size")
    return _Size(int(tick), int(pages) * int(page_bytes))
