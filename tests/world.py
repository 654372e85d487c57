"""A small world on the memory bus that a test turns by hand: fake time, single steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from energymarket import topology
from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.bus.port import Bus, Publication
from energymarket.messages import Message
from energymarket.service import Service
from energymarket.weather_store import MemoryWeatherStore
from services.external.catalogue_file import load_catalogue
from services.external.service import ExternalService
from services.home.service import HomeService
from services.market.books import Books
from services.market.domain.rules import Rules
from services.market.leadership import EpochWatch
from services.market.ledger import Ledger, Retention
from services.market.service import MarketService
from services.market.tick_cycle import Tempo
from services.weather.domain.climate import CLIMATES
from services.weather.service import WeatherService
from tests.fakes import FakeClock, RecordedLog

STRICT = Tempo(tick_s=0, deadline_s=0, max_ticks=0)
WITH_DEADLINE = Tempo(tick_s=0, deadline_s=5, lease_s=30)


_LEDGERS: list[Ledger] = []


@contextmanager
def closing_ledgers() -> Iterator[None]:
    """Gives back the connections of all worlds that were made within the block."""
    before = len(_LEDGERS)
    yield
    while len(_LEDGERS) > before:
        _LEDGERS.pop().close()


class Member:
    """A service with its bus; a stopped one is neither called nor told."""

    def __init__(self, service: Service, bus: Bus) -> None:
        self.service, self.bus = service, bus
        self.stopped = False

    def turn(self) -> None:
        self.service.handle(self.bus.poll(0))
        self.service.act()


class World:
    """Market, weather, external and single-home processes, by hand."""

    def __init__(
        self,
        url: str,
        *,
        homes: int = 3,
        tempo: Tempo = STRICT,
        seed: int = 42,
        max_orders_in_flight: int = 100,
        retention: Retention | None = None,
    ) -> None:
        self.url, self.seed, self._in_flight = url, seed, max_orders_in_flight
        self._retention = retention
        self.tempo = replace(tempo, start_homes=homes)
        self.clock, self.log = FakeClock(), RecordedLog()
        self.broker, self.store = MemoryBroker(), MemoryWeatherStore()
        self.market, self.market_member = self.new_market()
        self.weather = self._member(
            lambda bus: WeatherService(
                bus=bus,
                store=self.store,
                climate=CLIMATES["temperate"],
                clock=self.clock,
                log=self.log.log,
            )
        )
        self.external = self._member(
            lambda bus: ExternalService(
                bus=bus, catalogue=load_catalogue("standard"), log=self.log.log
            )
        )
        self.homes: list[Member] = []
        self._keys = 0
        for _ in range(homes):
            self.add_home()

    # ---------------------------------------------------------------------------------- making

    def new_market(self) -> tuple[MarketService, Member]:
        """A market on this world's ledger and broker, as a restarted process would be."""
        ledger = Ledger.open(self.url, Rules(seed=self.seed), self._retention)
        _LEDGERS.append(ledger)
        ledger.raise_epoch(self.clock.now())
        bus = MemoryBus(self.broker)
        market = MarketService(
            bus=bus,
            books=Books(ledger, max_fleets=self._in_flight // 2),
            store=self.store,
            clock=self.clock,
            log=self.log.log,
            tempo=self.tempo,
            max_orders_in_flight=self._in_flight,
            renew=EpochWatch(ledger).look,
        )
        market.start()
        return market, Member(market, bus)

    def add_home(self, *, instance: str = "") -> Member:
        """One more home process."""
        name = instance or f"instance-{len(self.homes)}"
        member = self._member(
            lambda bus: HomeService(
                bus=bus,
                clock=self.clock,
                log=self.log.log,
                new_key=self._new_key,
                instance=name,
            )
        )
        self.homes.append(member)
        return member

    def _new_key(self) -> str:
        self._keys += 1
        return f"key{self._keys}"

    def _member(self, make: object) -> Member:
        bus = MemoryBus(self.broker)
        service: Service = make(bus)  # type: ignore[operator]  # one of the lambdas above
        service.start()
        return Member(service, bus)

    def restart_market(self) -> None:
        """The market's process dies without a word; another starts on the same ledger."""
        self.kill_market()
        self.market, self.market_member = self.new_market()

    def kill_market(self) -> None:
        """The market's process dies without a word."""
        self.broker.drop_connection(self.market_member.bus)  # type: ignore[arg-type]
        self.market_member.bus.close()
        self.market.books.ledger.close()

    # --------------------------------------------------------------------------------- turning

    @property
    def tick(self) -> int:
        """The newest settled tick."""
        return self.market.books.tick

    def turn(self, times: int = 1) -> None:
        """Every service that is not stopped takes in what came and acts, ``times`` times."""
        for _ in range(times):
            for member in (self.market_member, self.weather, self.external, *self.homes):
                if not member.stopped:
                    member.turn()

    def turn_until_tick(self, tick: int) -> None:
        """Turns until ``tick`` is settled; fails when it never is."""
        for _ in range(200 * tick + 200):
            if self.tick >= tick:
                return
            self.clock.time_s += 0.01
            self.turn()
        raise AssertionError(f"tick {tick} was never settled; {self.tick} was")

    def pass_time(self, seconds: float) -> None:
        """Time goes by in small steps, with everybody at work."""
        until = self.clock.time_s + seconds
        while self.clock.time_s < until:
            self.clock.time_s += 0.1
            self.turn()

    # -------------------------------------------------------------------------------- speaking

    def send(self, exchange: str, key: str, message: Message) -> None:
        """A message from nobody in particular."""
        bus = MemoryBus(self.broker)
        bus.open(topology.Topology)
        bus.poll(0)
        bus.publish([Publication(exchange, key, message)])
        bus.close()


class Ear:
    """Hears everything that an exchange carries, as any program could."""

    def __init__(self, world: World, exchange: str, key: str = "") -> None:
        self._bus = MemoryBus(world.broker)
        queue = f"ear.{exchange}.{key}"
        self._bus.open(
            lambda: topology.Topology(
                queues=(topology.Queue(queue, "exclusive", 10_000),),
                bindings=(topology.Binding(exchange, queue, key),),
                consumes=(queue,),
                prefetch=10_000,
            )
        )
        self._bus.poll(0)

    def heard(self, kind: type[Any]) -> list[Any]:
        """Messages of one type since the last time."""
        found = [getattr(event, "message", None) for event in self._bus.poll(0)]
        return [message for message in found if isinstance(message, kind)]
