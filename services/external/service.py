"""External: tells the market which events start in each of the coming ticks.

One bulletin per tick, ahead of the market, most of them empty: an empty one says that nothing
starts, a missing one says nothing. What a bulletin holds follows from the seed and the tick alone,
so that this service may be killed, moved or started late, and says the same again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from energymarket.bus.port import Bus, BusEvent, Publication
from energymarket.listening import listen
from energymarket.messages import Bulletin, EventStart, TickAwaited, TickOpened
from energymarket.telemetry import Log
from energymarket.topology import EXTERNAL, Topology, listener_topology
from energymarket.units import eur_per_kwh
from services.external.domain.catalogue import Catalogue, events_starting
from services.external.meter import Meter

HORIZON_TICKS: Final = 32
"""How far ahead of the market the bulletins go."""

LOW_TICKS: Final = HORIZON_TICKS // 2
"""With fewer than this many ahead they are topped up, so that one batch serves many ticks."""


@dataclass(frozen=True, slots=True)
class _Published:
    """Every bulletin of ``run`` under ``seed`` up to ``through_tick`` has been published."""

    run: str
    seed: int
    through_tick: int


class ExternalService:
    """Implements ``energymarket.service.Service``."""

    def __init__(
        self,
        *,
        bus: Bus,
        catalogue: Catalogue,
        log: Log,
        new_key: Callable[[], str] = lambda: secrets.token_hex(8),
        meter: Meter | None = None,
    ) -> None:
        """``meter`` is told what happens, for whoever counts it."""
        self._bus = bus
        self._catalogue = catalogue
        self._log = log
        self._new_key = new_key
        self._meter = meter or Meter()
        self._wanted: TickOpened | TickAwaited | None = None
        self._opened: TickOpened | None = None  # is still to be logged
        self._told: tuple[str, int] | None = None  # run and tick of the last line
        self._published: _Published | None = None
        self._starting: dict[int, tuple[EventStart, ...]] = {}  # by tick, those not yet logged

    @property
    def finished(self) -> bool:
        """Never: events go on until the service is stopped."""
        return False

    def start(self) -> None:
        """Opens the bus."""
        self._log.info(
            "external starts",
            catalogue=self._catalogue.name,
            kinds=len(self._catalogue.kinds),
            horizon_ticks=HORIZON_TICKS,
        )
        self._bus.open(self._topology)

    def handle(self, events: Sequence[BusEvent]) -> None:
        """Notes what the market wants; only its newest word counts."""
        heard = listen(self._bus, events, self._log)
        self._wanted = heard.newest or self._wanted
        self._opened = heard.opened or self._opened
        if heard.reconnected or "external" in heard.missing:
            self._published = None  # some may have been lost, so say all of them again

    def act(self) -> float | None:
        """Publishes what is due, and logs the tick that was opened."""
        if self._wanted is not None:
            self._publish_ahead(self._wanted)
            self._wanted = None
        if self._opened is not None:
            self._log_opened(self._opened)
            self._opened = None
        return None

    def stop(self) -> None:
        """Closes the bus."""
        self._bus.close()

    def _topology(self) -> Topology:
        return listener_topology("external", self._new_key())

    def _publish_ahead(self, wanted: TickOpened | TickAwaited) -> None:
        """Publishes up to the horizon when few are ahead, or they were for another run or seed."""
        done = self._published
        if done is None or (done.run, done.seed) != (wanted.run, wanted.seed):
            from_tick = wanted.tick
            self._starting.clear()
        elif done.through_tick - wanted.tick >= LOW_TICKS:
            return
        else:
            from_tick = max(done.through_tick + 1, wanted.tick)
        through_tick = wanted.tick + HORIZON_TICKS
        self._publish(wanted, range(from_tick, through_tick + 1))
        self._published = _Published(wanted.run, wanted.seed, through_tick)

    def _publish(self, wanted: TickOpened | TickAwaited, ticks: range) -> None:
        starting = {tick: events_starting(self._catalogue, wanted.seed, tick) for tick in ticks}
        self._starting.update(starting)
        self._bus.publish(
            [
                Publication(
                    exchange=EXTERNAL,
                    routing_key="",
                    message=Bulletin(run=wanted.run, tick=tick, events=list(events)),
                    persistent=True,
                )
                for tick, events in starting.items()
            ]
        )
        self._meter.published(len(starting))

    def _log_opened(self, opened: TickOpened) -> None:
        """One line for each event that started since the last tick seen, and one for the tick."""
        if (opened.run, opened.tick) == self._told:
            return  # the market repeats itself; the log need not
        self._told = (opened.run, opened.tick)
        self._meter.opened(len(opened.events))
        started: list[str] = []
        for tick in [tick for tick in self._starting if tick <= opened.tick]:
            for event in self._starting.pop(tick):
                started.append(event.name)
                self._log_start(event, tick)
        ahead = (f"{event.name}@{t}" for t, events in self._starting.items() for event in events)
        self._log.info(
            f"tick {opened.tick}", starting=",".join(started) or "none", ahead=next(ahead, "none")
        )

    def _log_start(self, event: EventStart, tick: int) -> None:
        self._meter.started(event.name)
        self._log.info(
            f"event {event.name} starts",
            tick=tick,
            coefficient_eur_per_kwh=eur_per_kwh(event.coefficient_neur_per_wh),
            ttl_ticks=event.ttl_ticks,
        )
