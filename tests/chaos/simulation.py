"""A whole system in one process, under faults that one integer decides.

Messages are dropped, doubled, delayed and reordered; connections break; the broker forgets its
queues; the weather store forgets or fails; the ledger refuses to be read or written; clocks jump;
an order of a settled tick comes again, altered or not; any process is killed between any two steps
and may stay down for a while, the market also at each named step of a tick and between a commit
and its return; a second market starts while the first still runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

import msgspec
import structlog

from energymarket import codec
from energymarket.bus.memory import MemoryBroker
from energymarket.bus.routing import Router
from energymarket.messages import Orders
from energymarket.service import Service
from energymarket.telemetry import Log
from services.external.catalogue_file import load_catalogue
from services.external.service import ExternalService
from services.home.service import HomeService
from services.market.books import Books
from services.market.checkpoints import ORDER_RECEIVED, pass_by
from services.market.domain.rules import Rules
from services.market.errors import EpochLost, LedgerUnavailable
from services.market.leadership import EpochWatch
from services.market.service import MarketService
from services.market.tick_cycle import Tempo
from services.weather.domain.climate import CLIMATES
from services.weather.service import WeatherService
from tests.chaos.faulty_bus import FaultyBus
from tests.chaos.faulty_stores import Disk, FaultyDatabase, FaultyStore, Killed, open_ledger
from tests.chaos.plan import Fate, Plan
from tests.chaos.witness import Broken, Witness
from tests.fakes import FakeClock

_QUIET: Log = structlog.wrap_logger(
    structlog.ReturnLogger(),
    processors=[],
    wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
)
_CATALOGUE = load_catalogue("standard")
_MOST_STEPS = 60_000
_LAST_FAULTS_S = 10.0
_LONGEST_RECOVERY_S = 60.0
"""For two ticks of homes that say a thing again after 10 s at the latest, join and order."""


class JumpingClock:
    """A process's own clock: ahead of the others', and the time of day may be anything."""

    def __init__(self, base: FakeClock) -> None:
        self._base = base
        self.ahead_s = self.day_s = 0.0

    def monotonic(self) -> float:
        return self._base.time_s + self.ahead_s

    def now(self) -> float:
        return self._base.time_s + self.day_s


@dataclass(slots=True, eq=False)
class Process:
    """A service with its bus and its clock, and how to start it again.

    ``service`` is None while it is dead. It is not called before ``asleep_until``, and after that
    only now and then until ``slow_until``.
    """

    name: str
    make: Callable[[Process], Service]
    clock: JumpingClock
    bus: FaultyBus = field(init=False)
    service: Service | None = None
    asleep_until: float = 0.0
    slow_until: float = 0.0

    @property
    def kind(self) -> str:
        """What it is: ``market``, ``weather``, ``external`` or ``home``."""
        return self.name.partition("-")[0]


class Simulation:
    """One seeded run."""

    def __init__(self, seed: int, plan: Plan) -> None:
        self.seed, self.plan = seed, plan
        self.fate = Fate(Random(seed), plan)
        self.luck, self.happened = self.fate.luck, self.fate.happened
        self.trace: list[tuple[float, str, str]] = []
        self._in_turn: list[Process] | None = None
        self.clock, self.broker = FakeClock(), MemoryBroker()
        self.store = FaultyStore(self.fate)
        self.rules = Rules(seed=plan.seed)
        self.disk = Disk(self.rules)
        self.witness = Witness(self.disk, self.broker)
        self.markets: list[Process] = []
        self.others: list[Process] = []
        self._add(self.markets, "market", self._make_market)
        self._add(self.others, "weather", self._make_weather)
        self._add(self.others, "external", self._make_external)
        for index in range(plan.homes):
            self._add_home(f"home-{index}", 1)

    # ---------------------------------------------------------------------------------- making

    def _add(self, to: list[Process], name: str, make: Callable[[Process], Service]) -> Process:
        process = Process(name, make, JumpingClock(self.clock))
        to.append(process)
        self._start(process)
        return process

    def _add_home(self, instance: str, homes: int) -> Process:
        return self._add(self.others, instance, partial(self._make_home, homes))

    def _start(self, process: Process) -> None:
        market = process.name == "market"
        process.bus = FaultyBus(
            self.broker,
            fate=self.fate,
            clock=self.clock,
            witness=self.witness,
            checkpoint=self._maybe_die if market else pass_by,
        )
        try:
            process.service = process.make(process)
            process.service.start()
        except (LedgerUnavailable, Killed):
            self.happened["market could not start"] += 1
            self._end(process)

    def _make_market(self, process: Process) -> Service:
        database = FaultyDatabase(self.disk, self.fate)
        ledger = open_ledger(database, self.rules)
        ledger.raise_epoch(process.clock.now())
        return MarketService(
            bus=process.bus,
            books=Books(ledger, max_fleets=100),
            store=self.store,
            clock=process.clock,
            log=_QUIET,
            tempo=self._tempo(),
            checkpoint=self._maybe_die,
            renew=EpochWatch(ledger).look,
        )

    def _tempo(self) -> Tempo:
        plan = self.plan
        return replace(plan.tempo, start_homes=plan.homes, max_ticks=plan.all_ticks)

    def _maybe_die(self, step: str) -> None:
        # Orders are received far more often than anything else happens.
        seldom = 4 if step == ORDER_RECEIVED else 1
        probability = self.fate.plan.kill_at_step / seldom
        if self.fate.strikes(probability, f"market killed at: {step}"):
            raise Killed(step)

    def _make_weather(self, process: Process) -> Service:
        return WeatherService(
            bus=process.bus,
            store=self.store,
            climate=CLIMATES["temperate"],
            clock=process.clock,
            log=_QUIET,
            new_key=self._new_key,
            luck=self.luck.random,
        )

    def _make_external(self, process: Process) -> Service:
        return ExternalService(
            bus=process.bus, catalogue=_CATALOGUE, log=_QUIET, new_key=self._new_key
        )

    def _make_home(self, homes: int, process: Process) -> Service:
        return HomeService(
            bus=process.bus,
            clock=process.clock,
            log=_QUIET,
            new_key=self._new_key,
            instance=process.name,
            homes=homes,
        )

    def _new_key(self) -> str:
        return f"{self.luck.getrandbits(64):016x}"

    # --------------------------------------------------------------------------------- running

    def run(self) -> bytes:
        """Until the last tick is settled; the hash of the ledger's head then, replayed.

        The faults stop at a moment of the last two ticks that have any. Until then a further fault
        may mend what one has broken (a market that is killed asks everybody anew); from then on
        nothing does.
        """
        last_faulty, last = self.plan.ticks, self.plan.all_ticks
        try:
            self._run_until_tick(last_faulty - 2, _MOST_STEPS)
            until_s = self.clock.time_s + self.luck.uniform(0, _LAST_FAULTS_S)
            while self.clock.time_s < until_s and self.disk.tick < last_faulty:
                self.step()
            self._calm_down()
            until_s = self.clock.time_s + _LONGEST_RECOVERY_S
            while self.disk.tick < last:
                self.step()
                if self.clock.time_s > until_s:
                    raise Broken(f"stuck at tick {self.disk.tick} though the faults are over")
            self._check_the_end()
            for process in self.markets:
                self._end(process)
            return self.disk.verify()
        finally:
            self.disk.close()

    def _check_the_end(self) -> None:
        """What must hold when the last tick is settled, and the hash does not show."""

    def _run_until_tick(self, tick: int, most_steps: int) -> None:
        for _ in range(most_steps):
            if self.disk.tick >= tick:
                return
            self.step()
        raise AssertionError(f"stuck at tick {self.disk.tick} after {most_steps} steps")

    def step(self) -> None:
        """Time goes on a little, a fault may happen, one process is called."""
        luck = self.luck
        self.clock.time_s += luck.choice((0.0, 0.01, 0.05, 0.3))
        process = self._choose()
        if process.asleep_until > self.clock.time_s:
            return
        if process.slow_until > self.clock.time_s and luck.random() < 0.95:
            return
        if process.service is None:
            self._note(process, "starts")
            self._start(process)
        elif not self._fault(process):
            self._call(process)

    def _choose(self) -> Process:
        """Whose turn it is: anyone's; when the faults are over nobody has to wait for long."""
        if self._in_turn is None:
            return self.luck.choice([*self.markets, *self.others])
        if not self._in_turn:
            self._in_turn = [*self.markets, *self.others]
            self.luck.shuffle(self._in_turn)
        return self._in_turn.pop()

    def _dismiss(self, process: Process, of: list[Process]) -> None:
        """It is not called any more, nor started again."""
        of.remove(process)
        if self._in_turn and process in self._in_turn:
            self._in_turn.remove(process)

    def _calm_down(self) -> None:
        """All faults are over, and whoever is still to come back does."""
        self.fate.plan = self.plan.calm()
        self._in_turn = []
        for process in [*self.markets, *self.others]:
            process.asleep_until = process.slow_until = 0.0

    def _fault(self, process: Process) -> bool:
        """Lets the world go wrong by chance; True when the process is not to be called."""
        fate, plan, kind = self.fate, self.fate.plan, process.kind
        if fate.strikes(plan.kill, f"{kind} killed"):
            self._kill(process)
            return True
        if fate.strikes(plan.forget_queues, "broker forgot everything"):
            self._forget_queues()
        if fate.strikes(plan.clock_jump, f"clock of {kind} jumped"):
            process.clock.ahead_s += self.luck.uniform(0, 60)
            process.clock.day_s += self.luck.uniform(-86_400, 86_400)
        if self.luck.random() < plan.old_order:
            self._repeat_an_old_order()
        if len(self.markets) == 1 and fate.strikes(plan.second_market, "second market started"):
            self._add(self.markets, "market", self._make_market)
        return False

    def _call(self, process: Process) -> None:
        service = process.service
        assert service is not None
        try:
            events = process.bus.poll(0)
            self._note(process, f"{len(events)} events")
            service.handle(events)
            if isinstance(service, MarketService):
                self.witness.check_speakers(service, events)
            service.act()
        except Killed as killed:
            self._note(process, f"dies at {killed}")
            self._kill(process)
        except EpochLost:
            self.happened["superseded market gave up"] += 1
            self._note(process, "was superseded")
            self._end(process)
            self._dismiss(process, self.markets)
        else:
            if events and isinstance(service, HomeService):
                self.witness.check_home(service)

    def _kill(self, process: Process) -> None:
        """The process dies without a word; its successor has nothing but what is on its disk."""
        self._end(process)
        if self.fate.strikes(self.fate.plan.stay_down, f"{process.kind} stayed down"):
            process.asleep_until = self.clock.time_s + self.luck.uniform(0, 20)
        else:
            self._start(process)

    def _end(self, process: Process) -> None:
        if isinstance(process.service, MarketService):
            self.witness.check_market(process.service)
        process.service = None
        process.bus.drop_connection()
        process.bus.close()

    def _forget_queues(self) -> None:
        self.broker.stop("broker was recreated")
        self.broker.queues.clear()
        self.broker.router = Router()
        self.broker.start()

    def _repeat_an_old_order(self) -> None:
        """An order of a settled tick comes once more: as it was, or saying something else."""
        old = [
            publication
            for publication in self.witness.orders
            if isinstance(publication.message, Orders)
            and publication.message.tick <= self.disk.tick
        ]
        if not old:
            return
        publication = self.luck.choice(old)
        orders = publication.message
        assert isinstance(orders, Orders)
        altered = self.luck.random() < 0.5
        self.happened["old order repeated, altered" if altered else "old order repeated"] += 1
        if altered:
            more = [consumed_wh + 1 for consumed_wh in orders.consumed_wh]
            orders = msgspec.structs.replace(orders, consumed_wh=more)
        if publication.exchange in self.broker.router:
            body = codec.encode(orders)
            self.broker.publish_raw(publication.exchange, publication.routing_key, body)

    def _note(self, process: Process, what: str) -> None:
        self.trace.append((self.clock.time_s, process.name, what))
