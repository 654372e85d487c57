"""A whole system in one process, under faults that one integer decides.

Messages are dropped, doubled, delayed and reordered; connections break; the broker forgets its
queues; the weather store forgets or fails; any process is killed between any two steps, the market
also at each named step of a tick; a second market starts while the first still runs. Whatever
happens, the ledger after N ticks is the one of a run without faults, bit for bit (I7).

``python -m tests.chaos.simulator SEED`` replays one seed and says what happened.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from random import Random

import structlog

from energymarket.bus.memory import MemoryBroker
from energymarket.bus.routing import Router
from energymarket.errors import WeatherStoreUnavailable
from energymarket.service import Service
from energymarket.telemetry import Log
from energymarket.weather_store import MemoryWeatherStore
from services.external.catalogue_file import load_catalogue
from services.external.service import ExternalService
from services.home.service import HomeService
from services.market.books import Books
from services.market.domain.rules import Rules
from services.market.errors import EpochLost
from services.market.ledger import Ledger
from services.market.service import MarketService
from services.market.tick_cycle import Tempo
from services.weather.domain.climate import CLIMATES
from services.weather.service import WeatherService
from tests.chaos.faulty_bus import NO_FAULTS, SOME_FAULTS, Faults, FaultyBus
from tests.fakes import FakeClock

_QUIET: Log = structlog.wrap_logger(
    structlog.ReturnLogger(),
    processors=[],
    wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
)
_CATALOGUE = load_catalogue("standard")
_MOST_STEPS = 60_000
_numbers = count()


class Killed(Exception):
    """The process is gone: nothing after this line of it has happened."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated: homes, ticks to settle, and how often processes die (per step)."""

    homes: int = 4
    ticks: int = 8
    seed: int = 42
    faults: Faults = SOME_FAULTS
    kill: float = 0.01
    kill_at_step: float = 0.02
    second_market: float = 0.003
    forget_queues: float = 0.001
    store_fault: float = 0.05


class _FaultyStore(MemoryWeatherStore):
    """A weather store that sometimes does not answer, and sometimes has lost everything."""

    def __init__(self, luck: Random, probability: float) -> None:
        super().__init__()
        self._luck, self._probability = luck, probability

    def write(self, run: str, temperatures_mdeg: Mapping[int, int], keep_from_tick: int) -> None:
        self._stumble()
        super().write(run, temperatures_mdeg, keep_from_tick)

    def read(self, run: str, from_tick: int) -> dict[int, int]:
        self._stumble()
        return super().read(run, from_tick)

    def _stumble(self) -> None:
        fate = self._luck.random()
        if fate < self._probability:
            raise WeatherStoreUnavailable("the store does not answer")
        if fate > 1 - self._probability / 10:
            self.close()


@dataclass(slots=True)
class _Process:
    """A service with its bus, and how to start it again."""

    make: Callable[[FaultyBus], Service]
    bus: FaultyBus
    service: Service


class Simulation:
    """One seeded run."""

    def __init__(self, seed: int, plan: Plan) -> None:
        self.luck, self.plan = Random(seed), plan
        self.happened: Counter[str] = Counter()
        self._clock, self._broker = FakeClock(), MemoryBroker()
        self._store = _FaultyStore(self.luck, plan.store_fault)
        # In memory, but outliving the connections of a market that is killed.
        name = f"file:/simulation{next(_numbers)}?vfs=memdb"
        self._keeper = sqlite3.connect(name, uri=True)
        self._url = f"sqlite:///{name}&uri=true"
        self._markets = [self._start(self._new_market)]
        self._others = [self._start(self._new_weather), self._start(self._new_external)]
        self._others += [self._start(self._home_maker(index)) for index in range(plan.homes)]

    # ---------------------------------------------------------------------------------- making

    def _start(self, make: Callable[[FaultyBus], Service]) -> _Process:
        bus = FaultyBus(self._broker, luck=self.luck, faults=self.plan.faults, clock=self._clock)
        service = make(bus)
        service.start()
        return _Process(make, bus, service)

    def _new_market(self, bus: FaultyBus) -> Service:
        ledger = Ledger.open(self._url, Rules(seed=self.plan.seed))
        ledger.raise_epoch(self._clock.now())
        tempo = Tempo(
            tick_s=0, deadline_s=0, start_homes=self.plan.homes, max_ticks=self.plan.ticks
        )
        return MarketService(
            bus=bus,
            books=Books(ledger, max_fleets=100),
            store=self._store,
            clock=self._clock,
            log=_QUIET,
            tempo=tempo,
            checkpoint=self._maybe_die,
        )

    def _maybe_die(self, step: str) -> None:
        if self.luck.random() < self.plan.kill_at_step:
            self.happened[f"market killed at: {step}"] += 1
            raise Killed(step)

    def _new_weather(self, bus: FaultyBus) -> Service:
        return WeatherService(
            bus=bus,
            store=self._store,
            climate=CLIMATES["temperate"],
            clock=self._clock,
            log=_QUIET,
            new_key=self._new_key,
        )

    def _new_external(self, bus: FaultyBus) -> Service:
        return ExternalService(bus=bus, catalogue=_CATALOGUE, log=_QUIET, new_key=self._new_key)

    def _home_maker(self, index: int) -> Callable[[FaultyBus], Service]:
        def make(bus: FaultyBus) -> Service:
            return HomeService(
                bus=bus,
                clock=self._clock,
                log=_QUIET,
                new_key=self._new_key,
                instance=f"home-{index}",
            )

        return make

    def _new_key(self) -> str:
        return f"{self.luck.getrandbits(64):016x}"

    # --------------------------------------------------------------------------------- running

    def run(self) -> bytes:
        """Until the last tick is settled; the hash of the ledger's head then."""
        try:
            for _ in range(_MOST_STEPS):
                if self._settled() >= self.plan.ticks:
                    return self._head_hash()
                self._step()
            raise AssertionError(f"stuck at tick {self._settled()} after {_MOST_STEPS} steps")
        finally:
            self._keeper.close()

    def _settled(self) -> int:
        return max(_market(process).books.tick for process in self._markets)

    def _head_hash(self) -> bytes:
        newest = max(self._markets, key=lambda process: _market(process).books.tick)
        books = _market(newest).books
        assert books.residuals.ok
        found = books.ledger.history.tick_hash(self.plan.ticks)
        assert found is not None
        return found

    def _step(self) -> None:
        plan, luck = self.plan, self.luck
        self._clock.time_s += luck.choice((0.0, 0.01, 0.05, 0.3))
        process = luck.choice([*self._markets, *self._others])
        if luck.random() < plan.kill:
            self.happened[f"{type(process.service).__name__} killed"] += 1
            self._restart(process)
            return
        if luck.random() < plan.forget_queues:
            self._forget_queues()
        if len(self._markets) == 1 and luck.random() < plan.second_market:
            self.happened["second market started"] += 1
            self._markets.append(self._start(self._new_market))
        try:
            process.service.handle(process.bus.poll(0))
            process.service.act()
        except Killed:
            self._restart(process)
        except EpochLost:
            self.happened["superseded market gave up"] += 1
            self._end(process)
            self._markets.remove(process)

    def _restart(self, process: _Process) -> None:
        """The process dies without a word, and its successor starts from nothing but its disk."""
        self._end(process)
        fresh = self._start(process.make)
        process.bus, process.service = fresh.bus, fresh.service

    def _end(self, process: _Process) -> None:
        process.bus.drop_connection()
        process.bus.close()
        if isinstance(process.service, MarketService):
            process.service.books.ledger.close()

    def _forget_queues(self) -> None:
        self.happened["broker forgot everything"] += 1
        self._broker.stop("broker was recreated")
        self._broker.queues.clear()
        self._broker.router = Router()
        self._broker.start()


def _market(process: _Process) -> MarketService:
    assert isinstance(process.service, MarketService)
    return process.service


def without_faults(plan: Plan) -> bytes:
    """The head hash that every seed must reach."""
    calm = Plan(
        homes=plan.homes,
        ticks=plan.ticks,
        seed=plan.seed,
        faults=NO_FAULTS,
        kill=0,
        kill_at_step=0,
        second_market=0,
        forget_queues=0,
        store_fault=0,
    )
    return Simulation(0, calm).run()


def main() -> None:
    """Replays one seed."""
    seed = int(sys.argv[1])
    simulation = Simulation(seed, Plan())
    head, expected = simulation.run(), without_faults(Plan())
    for what, times in sorted(simulation.happened.items()):
        print(f"{times:>4}  {what}")
    print("same hash" if head == expected else f"DIFFERENT: {head.hex()}, not {expected.hex()}")


if __name__ == "__main__":
    main()
