"""The embedded run: the four services on the memory bus, in one process and one thread.

It is the default for someone with only Python, and the reference that a distributed run is
compared with, byte for byte: the same classes, the same messages, encoded and decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.bus.port import Bus
from energymarket.clock import Clock, SystemClock
from energymarket.service import Service
from energymarket.telemetry import Log
from energymarket.weather_store import MemoryWeatherStore
from services.external.catalogue_file import load_catalogue
from services.external.domain.catalogue import Catalogue
from services.external.service import ExternalService
from services.home.domain.profile import PolicyChoice
from services.home.service import HomeService
from services.market.books import Books
from services.market.domain.rules import Rules
from services.market.ledger import Ledger, Retention
from services.market.service import MarketService
from services.market.tick_cycle import Tempo
from services.weather.domain.climate import CLIMATES
from services.weather.service import WeatherService

_LONGEST_WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class WorldPlan:
    """What an embedded world is made of."""

    homes: int = 20
    fleets: int = 1
    """Home processes among which the homes are divided; makes no difference to any number."""
    rules: Rules = field(default_factory=lambda: Rules(seed=42))
    policy: PolicyChoice = field(default_factory=PolicyChoice)
    profile: str = "residential"
    climate: str = "temperate"
    catalogue: str = "standard"
    ledger_url: str = "sqlite://"
    retention: Retention = field(default_factory=Retention)
    """How much history is kept; all of it when nothing is said."""
    tempo: Tempo = field(default_factory=lambda: Tempo(deadline_s=0))


class EmbeddedRun:
    """A world in one process. ``step`` it, or ``run`` it to its end."""

    def __init__(self, plan: WorldPlan, *, log: Log, clock: Clock | None = None) -> None:
        """Raises ``SettingsError`` for a plan that cannot be, ``LedgerUnavailable``."""
        catalogue = load_catalogue(plan.catalogue)  # before there is a ledger of what cannot be
        self.clock = clock or SystemClock()
        self.broker = MemoryBroker()
        self.ledger = Ledger.open(plan.ledger_url, plan.rules, plan.retention)
        self.ledger.raise_epoch(self.clock.now())
        self.store = MemoryWeatherStore()
        self.members: list[tuple[Service, Bus]] = []
        """The services, each with its bus; the market first."""
        self._market_bus = MemoryBus(self.broker)
        self.market = MarketService(
            bus=self._market_bus,
            books=Books(self.ledger, max_fleets=10_000),
            store=self.store,
            clock=self.clock,
            log=log.bind(service="market"),
            tempo=plan.tempo,
            end_when_done=True,
        )
        self.members.append((self.market, self._market_bus))
        self._add_surroundings(plan, catalogue, log)
        self._add_homes(plan, log)

    def _add_surroundings(self, plan: WorldPlan, catalogue: Catalogue, log: Log) -> None:
        weather_bus, external_bus = MemoryBus(self.broker), MemoryBus(self.broker)
        weather = WeatherService(
            bus=weather_bus,
            store=self.store,
            climate=CLIMATES[plan.climate],
            clock=self.clock,
            log=log.bind(service="weather"),
        )
        external = ExternalService(
            bus=external_bus,
            catalogue=catalogue,
            log=log.bind(service="external"),
        )
        self.members += [(weather, weather_bus), (external, external_bus)]

    def _add_homes(self, plan: WorldPlan, log: Log) -> None:
        for index, size in enumerate(_divided(plan.homes, plan.fleets)):
            bus = MemoryBus(self.broker)
            home = HomeService(
                bus=bus,
                clock=self.clock,
                log=log.bind(service="home"),
                new_key=iter(f"fleet-{index}-{n}" for n in range(1_000_000)).__next__,
                instance=f"embedded-{index}",
                homes=size,
                policy=plan.policy,
                profile=plan.profile,
            )
            self.members.append((home, bus))

    # ------------------------------------------------------------------------------- running

    def start(self) -> None:
        """Starts the services; the market first, for it declares what the others bind to."""
        for service, _ in self.members:
            service.start()

    def step(self) -> float | None:
        """One turn of every service; returns when the next is due, None if not before news."""
        dues = []
        for service, bus in self.members:
            due = self.turn(service, bus)
            if due is not None:
                dues.append(due)
        return min(dues, default=None)

    def turn(self, service: Service, bus: Bus) -> float | None:
        """One turn of one service; returns when it is due again: at once when it had news."""
        events = bus.poll(0)
        if not events:
            return service.act()
        service.handle(events)
        service.act()
        return self.clock.monotonic()

    def rest_until(self, due: float | None) -> None:
        """Sleeps until ``due``, or until a command or a stop wakes the market's bus."""
        wait_s = _LONGEST_WAIT_S if due is None else due - self.clock.monotonic()
        if wait_s > 0:
            self.market.handle(self._market_bus.poll(min(wait_s, _LONGEST_WAIT_S)))

    def wake(self) -> None:
        """Ends a rest; any thread may call it."""
        self._market_bus.wake()

    @property
    def finished(self) -> bool:
        """True after the last tick of a bounded run."""
        return self.market.finished

    def stop(self) -> None:
        """Stops the services, homes first, and closes the ledger."""
        for service, _ in reversed(self.members):
            service.stop()
        self.ledger.close()

    def run_to_end(self) -> str:
        """Runs a bounded world to its end; returns the ledger's head hash (64 hex digits)."""
        self.start()
        while not self.finished:
            self.rest_until(self.step())
        head = self.market.books.head_hash.hex()
        self.stop()
        return head


def _divided(total: int, parts: int) -> Sequence[int]:
    """``total`` in ``parts`` nearly equal whole numbers, none of them 0."""
    parts = max(1, min(parts, total))
    return [total // parts + (1 if index < total % parts else 0) for index in range(parts)]
