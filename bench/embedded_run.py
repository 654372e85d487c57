"""One embedded run or plain loop, timed."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from bench.plain_loop import PlainLoop
from energymarket import telemetry
from lab.embedded import EmbeddedRun, WorldPlan
from services.market.domain.rules import Rules
from services.market.tick_cycle import Tempo

SEED = 42
IN_MEMORY = "sqlite://"


@dataclass(frozen=True, slots=True)
class Case:
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


def embedded(case: Case, *, ledger_url: str = IN_MEMORY, fleets: int = 1) -> Timed:
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


def plain(case: Case) -> Timed:
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
